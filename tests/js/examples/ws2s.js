var line = new WS2S("wss://192.0.2.9/").newSocket();

line.onReady = function () { console.log('ready'); line.connect("192.0.2.10", 7); };
line.onOpen = function () { console.log('open'); line.send("one\r\n"); line.sendb(new TextEncoder().encode("two\r\n")); };
line.onRecv = function (bytes) { console.log('received', bytes); };
line.onClose = function () { console.log('closed'); };
line.onError = function (error) { console.log('error', error); };

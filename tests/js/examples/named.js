var localWS = new LocalWebSocket("myServiceName");

// Now do something with `localWS` (it is a WebSocket object so use accordingly)

var broadcastWS = new BroadcastWebSocket("myServiceName");

// Now do something with `broadcastWS` (it is a WebSocket object so use accordingly)

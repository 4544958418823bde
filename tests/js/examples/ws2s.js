var socket = new WS2S("wss://ws2s.feling.net/").newSocket()

$('#connect-button').bind("click", () => {
    socket.connect("feling.net", 80)
})

$('#send-button').bind("click",  () => {
    socket.send("GET / HTTP/1.1\r\nHost: feling.net\r\nConnection: close\r\n\r\n")
})

$('#send-bytes-button').bind("click",  () => {
    socket.sendb(// send bytes by base64
        new TextEncoder('utf8')
            .encode('GET /xxx HTTP/1.1\r\nHost: feling.net\r\nConnection: close\r\n\r\n')
    )
})

$('#close-button').bind("click",  () => {
    socket.close()
})

socket.onReady = () => {
    // connection to ws2s server is open, 
    // socket is ready to use, now you can call socket.connect() method
    console.log('onReady')
}
socket.onOpen = () => {
    // socket.connect() is done, 
    // socket is ready to for send data. now you can call socke.send() method
    console.log('onOpen')
}
socket.onRecv = (bytes) => {
    // bytes is an Uint8Array
    console.log('socket onRecv: ', bytes)
}
socket.onClose = () => {
    console.log('onClose')
}
socket.onError = (error) => {
    console.log('onError', error)
}

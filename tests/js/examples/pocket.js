pocket.socket.setup('192.0.2.7:8001').on('socket', function (event) { console.log('first', event); }).connect();

pocket.socket.setup('192.0.2.7', 8001);
pocket.socket.setup(['192.0.2.7', '192.0.2.8'], [8001, 8002], 'broadcast');
pocket.socket.connection.list('mix');
pocket.socket.connection.list('flat');
pocket.socket.setup({ kitchen: ['192.0.2.7', 8001], garden: ['192.0.2.8', 8002] });
pocket.socket.setup();
pocket.socket.connection.isSetup();
pocket.socket.connection.addToList();
pocket.socket.connection.empty();

pocket.socket.on('socket', function (event, data) {
    if (event === 'open') { console.log('open', data.socket.uri); }
});
pocket.socket.on('socket', 'connected', function (event, socket) { console.log('somebody came', socket); });

pocket.socket.sendToAll('lamp.switch', { on: true, colour: 'green' });

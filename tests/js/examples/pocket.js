pocket.socket.setup('127.0.0.1:8001').on('socket', function (name){
        console.log("socket", name);
    }).connect();

pocket.socket.setup('127.0.0.1:8001');

pocket.socket.setup('127.0.0.1', 8001);

var addresses = ['192.168.0.55', '127.0.0.1'];
var ports     = [8001, 8009];

pocket.socket.setup(addresses, ports, 'broadcast');

pocket.socket.connection.list('mix');
pocket.socket.connection.list('flat');

var addressPair = {
    'local': ['120.0.0.1', 8001],
    'dev': ['192.168.0.55', 8009]
};
pocket.socket.setup(addressPair)

var addresses = ['192.168.0.55', '127.0.0.1', '44.343.134.135'];
var ports     = [8001, 8002, 8009, 8010];

pocket.socket.setup(addresses, ports, 'broadcast');

pocket.socket.connection.list('mix');

var addresses = ['192.168.0.55', '127.0.0.1'];
var ports     = [8001, 8009];

pocket.socket.setup(addresses, ports, 'broadcast');

pocket.socket.connection.list('flat');

var connection = pocket.socket.setup()

pocket.socket.connection.isSetup()

pocket.socket.connection.list('mix');
pocket.socket.connection.list('flat');

pocket.socket.connection.addToList()

pocket.socket.connection.empty()

pocket.socket.sendToAll('socket.message', {
        apples:'green',
        pie: 'cherry',
        animal: 'fishy'
    })

pocket.socket.on('socket', function(name, data) {
    switch(name) {
        case 'connecting':
            console.log("connecting", data[1]);
            break;
        case 'open':
            console.log("open", data.socket.uri)
    }
     console.log("data replied: ", name, data)
})

pocket.socket.on('socket', 'connected', function(e, socket){
    console.log("Socket has connected", socket)
});

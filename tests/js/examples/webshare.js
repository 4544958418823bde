function logger(name, action) {
    return function(success, code, body) {
        console.log(name, action, success, code, body);
    }
}

var debug = false;

var alice = new WebShare('192.168.1.3', 9000, debug);
var bob = new WebShare('192.168.1.3', 9000, debug);

alice.oncommanderror = logger('Alice', 'oncommanderror');
alice.onunpair = logger('Alice', 'onunpair');
alice.onrelay = logger('Alice', 'onrelay');

bob.oncommanderror = logger('Bob', 'oncommanderror');
bob.onunpair = logger('Bob', 'onunpair');
bob.onrelay = function(success, code, body) {
    logger('bob', 'onrelay')(success, code, body);
    var name = body.hello;
    if (name != bob) {
        bob.relay('my name isnt ' + name + ' its bob!');
    } else {
        bob.relay([123, 'hello alice!']); // can relay anything
    }
}


function testThem() {
    alice.pair(bob.key, function(success, code, body) {
        if (!success) { return; }
        console.log('Alice (' + alice.key + ') is paired to Bob (' + alice.pairedTo + ')');
        alice.relay({hello: 'dan'}, function(success, code, body) {
            console.log('Alice is done with the relay');
        });
    });
}

setTimeout(testThem, 1000); // wait for each person to obtain their keys so that they can be paired in code.

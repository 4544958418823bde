var left = new WebShare('192.0.2.3', 9000, false);
var right = new WebShare('192.0.2.3', 9000);

function report(who, what) {
    return function (success, code, body) { console.log(who, what, success, code, body); };
}

left.oncommanderror = report('left', 'error');
right.oncommanderror = report('right', 'error');
left.onunpair = report('left', 'unpair');
right.onunpair = report('right', 'unpair');
left.onrelay = report('left', 'relay');
right.onrelay = function (success, code, body) {
    console.log('right', 'relay', success, code, body);
    right.relay(['seen', body.colour]);
};

function start() {
    left.pair(right.key, function (success, code, body) {
        console.log('paired', success, left.key === body['with'], left.pairedTo);
        left.relay({ colour: 'green' }, function (success, code, body) { console.log('sent', success, code, body); });
    });
}

setTimeout(start, 1500);

const p2pClientPlugin = require("../src/p2pClientPlugin");
const socketClient = require('socket.io-client');

const lampRaw = socketClient.connect(`http://192.0.2.11:9000?deviceId=${'lamp'}`);
const lamp = p2pClientPlugin(lampRaw);

lamp.on('switch', function () {
  console.log('lamp', arguments);
  lamp.emit2('switched', {on: true});
});

lamp.on('connect', function () {
  const knobRaw = socketClient.connect(`http://192.0.2.11:9000?deviceId=${'knob'}`);
  const knob = p2pClientPlugin(knobRaw);

  try {
    knob.registerP2pTarget('lamp', {}, () => {
      knob.emit2('switch', {on: true}, 'slowly', 2, {colour: 'green'}, function (result) {
        console.log('answer', result);
      });

      setTimeout(() => {
        knob.unregisterP2pTarget();
      }, 5000);
    });
  } catch (e) {
    console.error(e);
  }

  knob.on('switched', function () {
    console.log('knob', arguments);
  });
});

var local = new LocalWebSocket("kitchen_lamp");
var broadcast = new BroadcastWebSocket("kitchen_lamp");

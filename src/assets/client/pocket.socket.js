/**
 * pocket.socket: channels and events between everybody on one WebSocket server, or on several at once.
 *
 * One file, no dependencies. Loaded as a classic script or as an ES module it sets the globals `pocket` and
 * `AddressException`; `require` returns them. A file with `export` would not be a classic script, so
 * `import { pocket }` is for `pocket.socket.mjs`, which loads this file and exports what it set. Types are in
 * `pocket.socket.d.ts`.
 *
 * Code written for pocketsocket's client runs unchanged. What that one promised works here: listeners for one event,
 * callbacks for receipts, several servers of which one message arrives once, failing over (`overflow`), reconnecting,
 * and a bounded queue for what is sent meanwhile, which tells what it drops.
 *
 * Of each socket (`readyState`):
 *
 *     connecting (0) ──▶ open (1) ──▶ waiting (0) ──▶ connecting ──▶ …      `open`; `close` and `reconnect`
 *          └────────────────┴────────────┴──▶ closed (3)                   `close`
 *
 * It waits a random time, but not when the browser is online again or the page is looked at again: then it tries at
 * once. It is closed for good by `close()`, without `reconnect`, after `retryLimit`, and by a server that says so: 1008
 * (but for one who was only slow) and 4000 to 4999. After 1012 and 1013 it waits at least `min`, or asks the next server.
 */
'use strict';
// A second copy in the same page shares the sockets and listeners of the first.
if (!globalThis.pocket?.webSocket) {
  /** A retry waits a random time below `min * 2^attempt` and below `max` (full jitter), both in milliseconds. */
  const RETRY = { min: 500, max: 30000 };

  /** Ids of messages that are remembered to know a second copy by. */
  const SEEN_LIMIT = 1000;

  /** Messages of one socket that may wait for a receipt: some servers of this protocol send none. */
  const RECEIPT_LIMIT = 10000;

  /** What the original server listens on if it is not told otherwise. */
  const PORT = 8001;

  const [CONNECTING, OPEN, CLOSING, CLOSED] = [0, 1, 2, 3];

  /** Functions by channel, by whole message (`channel.event`) and by id of a message: `{event, callback}`. */
  const hooks = new Map();

  /** Sockets that are not over. */
  const live = new Set();

  /** The sockets of the latest `connect` to several servers at once. */
  let group = [];

  /** The socket that brought a message first, by its id, oldest first; size <= SEEN_LIMIT. */
  const seen = new Map();

  /** An address that cannot be used, or none. */
  class AddressException extends Error {
    name = 'AddressException';

    constructor(message, data = null, caption = message) {
      super(message);
      Object.assign(this, { data, caption });
    }

    toString() {
      return `${this.name}:${this.caption}`;
    }
  }

  /** Hosts that a browser may keep pages of elsewhere from: addresses inside, and names without an address outside. */
  const LOCAL = /^((127|10|192\.168|172\.[123]\d|169\.254)\.|[^.:]+$|\[(::1|f))|\.local$/;

  /** What may be the reason that a browser does not tell. */
  const hintOf = (url) => {
    const { location } = globalThis;
    if (!location) return '';
    const { hostname } = new URL(url, location);
    if (hostname === location.hostname || !LOCAL.test(hostname)) return '';
    return `Blocked? Allow the local network, or load the page from ${hostname}`;
  };

  /** Runs `run` once, in `ms` or when there is reason to believe that it will do now. Returns what calls it off. */
  const soon = (run, ms) => {
    const { document } = globalThis;
    let timer;
    const stop = (name) => {
      clearTimeout(timer);
      globalThis[name]?.('online', go);
      document?.[name]('visibilitychange', look);
    };
    const go = () => {
      stop('removeEventListener');
      run();
    };
    const look = () => document.visibilityState === 'visible' && go();
    stop('addEventListener');
    timer = setTimeout(go, ms);
    return () => stop('removeEventListener');
  };

  /** Calls what a user handed us; what it throws is reported by the platform and does not disturb us. */
  const call = (callback, ...args) => {
    try {
      callback?.(...args);
    } catch (error) {
      setTimeout(() => {
        throw error;
      });
    }
  };

  /** Tells those who listen: for a channel they get `(event, data, socket)`, for a single event `(data, socket)`. */
  const dispatch = (channel, event, data, socket) => {
    for (const hook of hooks.get(channel) ?? []) {
      if (hook.event === undefined) call(hook.callback, event, data, socket);
      else if (hook.event === event) call(hook.callback, data, socket);
    }
    if (channel === 'socket') call(socket?.callback, event, { name: socket?.name, socket, data });
  };

  /** One socket will bring no receipt; where it was the last one that could, the promise is rejected. */
  const fail = (request, code) => {
    if (--request.left > 0 || !request.id) return;
    hooks.delete(request.id);
    request.reject(Object.assign(new Error('pocket: ' + code), { code }));
  };

  const drop = (request, code, socket) => {
    const { id, message, data } = request;
    dispatch('socket', 'drop', { id, message, data, code, socket }, socket);
    fail(request, code);
  };

  /** Sends one message over all these; where data would be, there may be the callback. */
  const post = (sockets, message, data, callback) => {
    if (typeof data === 'function') [callback, data] = [data];
    const { signal } = Object(callback);
    if (signal) callback = callback.callback;
    if (data === undefined) data = {};
    // The same id everywhere, by which a receiver on several servers knows a second copy.
    const id = Math.random().toString(32);
    const frame = JSON.stringify({ id, message, data });
    const request = { id, message, data, frame, callback, left: sockets.length };
    const promise = new Promise((resolve, reject) => Object.assign(request, { resolve, reject }));
    // What is called back is sent by nobody who has not, and its receipts are nobody's.
    const forget = () => {
      sockets.forEach((socket) => socket.forget(request));
      hooks.delete(id);
      request.reject(signal.reason);
    };
    signal?.addEventListener('abort', forget);
    // Nobody has to look at the promise. Whoever does look still sees the rejection.
    promise.catch(() => {});
    if (!sockets.length) drop(request, 'CLOSED');
    const ids = sockets.map((socket) => socket.submit(request));
    if (signal?.aborted) forget();
    return { ids, promise };
  };

  /** The sockets of `sendToAll`: those of `connect` and `makeSocket`. */
  const known = () => [...live].filter((socket) => socket.isKnown && socket.readyState < CLOSING);

  /** The same; where there are none, those that `setup` prepared are made. */
  const everybody = () => {
    if (!known().length && connection.isSetup()) connect();
    return known();
  };

  const single = (socket) => {
    if (socket instanceof AugmentedWebSocket) return [socket];
    throw new AddressException('Socket does not exist', socket);
  };

  /** What a socket received: a push of the server, a message on a channel, or anything else. */
  const receive = (socket, event) => {
    let json;
    try {
      // A binary frame is never JSON, whatever its bytes spell.
      json = Object(typeof event.data === 'string' && JSON.parse(event.data));
    } catch {
      json = {};
    }
    if (Object.hasOwn(json, 'socket')) {
      json.__event = event;
      const request = json.socket === 'sent' && socket.acknowledge(json.messageId);
      if (request) {
        const waiting = hooks.get(request.id);
        hooks.delete(request.id);
        request.resolve(json);
        waiting?.forEach((hook) => call(hook.callback, json.data, json));
        call(request.callback, json, socket);
      }
      return dispatch('socket', json.socket, json, socket);
    }
    const { id, message } = json;
    if (typeof message !== 'string') return dispatch('socket', 'message', event, socket);
    if (live.size > 1 && typeof id === 'string') {
      // The same message by way of another server.
      if ((seen.get(id) ?? socket) !== socket) return;
      seen.set(id, socket);
      if (seen.size > SEEN_LIMIT) seen.delete(seen.keys().next().value);
    }
    const [__channel, __eventName] = message.split('.');
    Object.assign(json, { __event: event, __channel, __eventName });
    if (__eventName !== undefined) dispatch(__channel, __eventName, json, socket);
    dispatch(message, message, json, socket);
  };

  const Socket = () => pocket.WebSocket ?? globalThis.WebSocket;

  /**
   * Stands for a WebSocket through all its connections: what is sent while there is none waits for the next one.
   *
   * It tells the channel `socket`: `connecting`, `open`, `message`, `error`, `close` (with every connection that ends;
   * `readyState` is 3 when it is over for good), `reconnect` (tried again in `retryMs`), `drop` (`data` will not be
   * sent: `code` is `QUEUE_FULL` or `CLOSED`). The WebSocket's own events are also for `addEventListener` and `on…`.
   */
  class AugmentedWebSocket extends EventTarget {
    #socket;
    #binaryType = 'blob';
    /** What was sent while there was no connection, oldest first; length <= pocket.queueLimit. */
    #queue = [];
    /** Messages on their way, by id: sent on the current connection and without a receipt. */
    #waiting = new Map();
    #addresses;
    #index = 0;
    /** Below zero while there are servers that were not tried yet. */
    #attempt;
    /** Attempts since the last connection. */
    #failures = 0;
    #openedAt = 0;
    #hint;
    #callOff = () => {};
    #timer;
    #resolve;
    #reject;

    /** Connects at once, to the first of `addresses` that answers. */
    constructor(address, callback, isKnown = false, addresses = [address]) {
      super();
      if (!Socket()) throw new Error('There is no WebSocket here: set pocket.WebSocket');
      /** The addresses that are tried in turn. */
      this.uris = addresses.map(checked);
      this.isKnown = isKnown;
      this.callback = callback;
      this.#addresses = addresses;
      this.#attempt = 1 - addresses.length;
      /** Fulfilled by the first connection, rejected where there never was one. */
      this.opened = new Promise((...settle) => ([this.#resolve, this.#reject] = settle));
      this.opened.catch(() => {});
      this.#connect();
    }

    get connected() {
      return this.readyState === OPEN && this.#socket.readyState === OPEN;
    }

    get bufferedAmount() {
      return this.#socket.bufferedAmount;
    }

    get binaryType() {
      return this.#binaryType;
    }

    set binaryType(type) {
      this.#socket.binaryType = this.#binaryType = type;
    }

    /** Sends anything a WebSocket sends, as it is. Do not change bytes while they wait for a connection. */
    send(data) {
      this.submit({ frame: data, data });
    }

    /** Sends a message; returns its id. */
    sendJson(message, data, callback) {
      return post([this], message, data, callback).ids[0];
    }

    /** Leaves the connection, if there is one, for a new one. */
    reconnect() {
      this.#socket.close();
      this.#failures = 0;
      this.#connect();
    }

    /** Ends for good: no reconnect. */
    close(...args) {
      if (this.readyState >= CLOSING) return;
      const noEventWillCome = this.#socket.readyState === CLOSED;
      // Refuses what a WebSocket refuses, before anything has changed.
      this.#socket.close(...args);
      this.readyState = CLOSING;
      if (!noEventWillCome) return;
      this.#callOff();
      this.#timer = setTimeout(() => this.#closed({ code: 1006, reason: '', wasClean: false }));
    }

    /** Sends a request, or keeps it until there is a connection; returns its id unless it is dropped. */
    submit(request) {
      const { id } = request;
      if (this.connected) {
        this.#socket.send(request.frame);
        if (id) this.#waiting.set(id, request);
        if (this.#waiting.size > RECEIPT_LIMIT) fail(this.acknowledge(this.#waiting.keys().next().value), 'NO_RECEIPT');
      } else if (this.readyState >= CLOSING) return drop(request, 'CLOSED', this);
      else if (this.#queue.length >= pocket.queueLimit) return drop(request, 'QUEUE_FULL', this);
      else this.#queue.push(request);
      return id;
    }

    /** Neither sends a request nor waits for its receipt. */
    forget(request) {
      this.#waiting.delete(request.id);
      this.#queue = this.#queue.filter((each) => each !== request);
    }

    /** The message with this id, which waits for its receipt no longer. */
    acknowledge(id) {
      const request = this.#waiting.get(id);
      this.#waiting.delete(id);
      return request;
    }

    #connect() {
      this.#abandon();
      this.readyState = CONNECTING;
      this.name = this.#addresses[this.#index];
      this.uri = this.uris[this.#index];
      this.#hint = hintOf(this.uri);
      this.#tell('connecting', [this.name, this.uri]);
      const socket = (this.#socket = new (Socket())(
        this.uri,
        // The server answers the first and never the second, which shows it who we are.
        pocket.token ? ['jackfield', `jackfield.token.${pocket.token}`] : undefined,
      ));
      live.add(this);
      socket.binaryType = this.#binaryType;
      this.#timer = setTimeout(() => socket.close(), pocket.connectTimeout);
      const hear = (type, listener) => {
        socket['on' + type] = (event) => socket === this.#socket && listener(event);
      };
      hear('open', () => this.#opened());
      hear('message', ({ data, origin }) => receive(this, this.#emit(new MessageEvent('message', { data, origin }))));
      hear('error', () => this.#tell('error', this.#emit(new Event('error'))));
      hear('close', (event) => this.#closed(event));
    }

    /** Nothing that was sent on the connection will be acknowledged any more. */
    #abandon() {
      clearTimeout(this.#timer);
      this.#callOff();
      this.#waiting.forEach((request) => fail(request, 'CLOSED'));
      this.#waiting.clear();
    }

    #opened() {
      clearTimeout(this.#timer);
      this.readyState = OPEN;
      this.#openedAt = Date.now();
      this.#failures = 0;
      this.#hint = '';
      // What waited goes before anything newer.
      this.#queue.splice(0).forEach((request) => this.submit(request));
      this.#resolve(this);
      this.#tell('open', { socket: this, data: this.#emit(new Event('open')) });
      if (group.includes(this) && group.every((socket) => socket.connected)) {
        this.#tell('broadcast-all-connected', { data: this.name, sockets: group });
      }
    }

    #closed({ code, reason, wasClean }) {
      const count = this.uris.length;
      const { reconnect, retryLimit } = pocket;
      const { min, max } = { ...RETRY, ...reconnect };
      const isUnwanted = code > 3999 || (code === 1008 && !/^(no answer|too slow)/.test(reason));
      const isOver = this.readyState >= CLOSING || reconnect === false || isUnwanted || this.#failures >= retryLimit * count;
      const hint = this.#hint;
      this.readyState = isOver ? CLOSED : CONNECTING;
      this.#abandon();
      if (isOver) {
        live.delete(this);
        this.#queue.splice(0).forEach((request) => drop(request, 'CLOSED', this));
        this.#reject(new AddressException('Not connected', this.uris));
      }
      this.#tell('close', this.#emit(Object.assign(new Event('close'), { code, reason, wasClean, hint })));
      // A listener may have ended it, or begun anew.
      if (this.readyState > CONNECTING || this.#socket.readyState < CLOSED) return;
      // A connection that lasted starts the backoff anew; one that is cut at once does not.
      if (this.#openedAt && Date.now() - this.#openedAt > max) this.#attempt = 0;
      this.#openedAt = 0;
      this.#index = (this.#index + 1) % count;
      const round = Math.floor(this.#attempt / count);
      const least = code === 1012 || code === 1013 ? min : 0;
      const retryMs = this.#attempt++ < 0 ? 0 : least + Math.random() * Math.min(max, min * 2 ** round);
      this.#callOff = soon(() => this.#connect(), retryMs);
      this.#tell('reconnect', { socket: this, attempt: this.#failures++, retryMs, hint });
    }

    #tell(event, data) {
      dispatch('socket', event, data, this);
    }

    /** Tells listeners, then `on<type>`; returns the event. */
    #emit(event) {
      const handler = () => this['on' + event.type]?.(event);
      // Called as a listener, what it throws is reported by the platform and stays away from us.
      this.addEventListener(event.type, handler);
      this.dispatchEvent(event);
      this.removeEventListener(event.type, handler);
      return event;
    }
  }

  const isUrl = (text) => /^\w+:\/\//.test(text);
  const joined = ({ ip, port }) => ip + (port ? ':' + port : '');
  const hidden = (object, name, value) => Object.defineProperty(object, name, { value });

  /** An address in any of its forms as a URL. */
  const socketString = (url, isSecure) => {
    if (typeof url === 'function') url = url(webSocket);
    if (Array.isArray(url)) url = url.slice(0, 2).join(':');
    const text = Object(url).ip ? joined(url) : String(url);
    return isUrl(text) ? text.replace(/^http/i, 'ws') : `ws${isSecure ? 's' : ''}://${text}`;
  };

  /** The same where it is one that a WebSocket would take. */
  const checked = (url) => {
    const uri = url ? socketString(url) : '';
    try {
      if (/^wss?:$/.test(new URL(uri).protocol)) return uri;
    } catch {
      // Told below.
    }
    throw new AddressException('Cannot connect without URI: ' + uri, url);
  };

  /** An address in any of its forms as `[ip, port]`; a whole URL has no port of its own. */
  const split = (address) => {
    if (Array.isArray(address)) return address;
    const { ip = address, port } = Object(address);
    if (ip !== address || isUrl(ip)) return [ip, port];
    // An IPv6 address is bracketed for the URL.
    if (/^[^[/]*:[^/]*:/.test(ip)) return [`[${ip}]`];
    return /^(\[.*\]|[^:]*):?([^]*)$/.exec(ip).slice(1);
  };

  const word = (words, ...allowed) => words.find((given) => allowed.includes(given));
  const listTypeOf = (words) => word(words, 'mix', 'flat');
  const connectionTypeOf = (words) => word(words, 'broadcast', 'overflow');

  /** What `setup` prepared. */
  const connection = {
    addresses: [],
    ports: [],
    listType: 'mix',
    connectionType: 'broadcast',

    isSetup: () => connection.addresses.length > 0,

    /** Every address with every port (`mix`), or each with its own (`flat`). */
    list(listType = connection.listType) {
      const { addresses, ports, addToList } = connection;
      const list = [];
      if (listType === 'flat' && addresses.length !== ports.length) {
        const message = 'IP and Port Array are not the same length for "flat" enumeration.';
        throw new AddressException(message, { addresses, ports, listType });
      }
      addresses.forEach((ip, i) => {
        if (listType === 'flat') addToList(list, ip, ports[i]);
        if (listType === 'mix') ports.forEach((port) => addToList(list, ip, port));
      });
      return hidden(list, 'toArray', () => list.map(String));
    },

    /** Adds an item and returns it; an empty one where something is missing. */
    addToList(list, ip, port, name = '') {
      if (!ip || (!port && !isUrl(ip))) return {};
      const item = hidden({ ip, port, name }, 'toString', () => joined(item));
      list.push(item);
      return item;
    },

    /** The item at `index`, and the index of the next one or of the first. */
    getNextOrFirst: (list, index) => [list[index], index + 1 < list.length ? index + 1 : 0],
    getPort: (index) => connection.ports[index] ?? null,
    getIp: (index) => connection.addresses[index] ?? null,

    /** Forgets all addresses; connections stay. */
    empty: () => !!Object.assign(connection, { addresses: [], ports: [] }),

    on,
    connect,
  };

  /** Calls `callback` for a channel, for one event of it, or once for the receipt of a message. */
  function on(channel, event, callback) {
    const hook = typeof event === 'function' ? { callback: event } : { event, callback };
    for (const name of [channel].flat()) hooks.set(name, [...(hooks.get(name) ?? []), hook]);
    return this;
  }

  /** Connects to a list or to what `setup` prepared; fulfilled with the sockets when all have been open. */
  function connect(...args) {
    const words = args.filter((arg) => listTypeOf([arg]) ?? connectionTypeOf([arg]));
    const list = [args.find((arg) => arg && !words.includes(arg)) ?? connection.list(listTypeOf(words))].flat();
    if (!list.length) throw new AddressException('Missing connections');
    const isOverflow = (connectionTypeOf(words) ?? connection.connectionType) === 'overflow';
    // All are looked at before the first one is connected to.
    const uris = list.map(checked);
    const wanted = isOverflow ? [[uris.join(), list]] : list.map((address, i) => [uris[i], [address]]);
    const sockets = wanted.map(
      ([key, addresses]) =>
        known().find((socket) => socket.uris.join() === key) ?? new AugmentedWebSocket(key, undefined, true, addresses),
    );
    group = isOverflow ? [] : sockets;
    const all = Promise.all(sockets.map((socket) => socket.opened));
    all.catch(() => {});
    return all;
  }

  const socket = {
    connection,
    on,
    connect,

    /** Says where to connect to; the types list all forms. */
    setup(address, ...rest) {
      const isMany = typeof address === 'object' && address && !address.ip;
      const pairs = (isMany ? Object.values(address) : [address ?? '127.0.0.1']).map(split);
      const [given] = rest;
      const ports = Array.isArray(given) ? given : parseInt(given) > 0 && [given];
      connection.addresses = pairs.map(([ip]) => ip);
      connection.ports = ports || pairs.map(([ip, port]) => port || (isUrl(ip) ? '' : PORT));
      connection.listType = listTypeOf(rest) ?? (ports ? 'mix' : 'flat');
      connection.connectionType = connectionTypeOf(rest) ?? 'broadcast';
      if (rest.includes(false)) connect();
      return connection;
    },

    /** A socket beside those of `connect`; `callback(name, {name, socket, data})` is told what channel `socket` is. */
    makeSocket: (url, callback) => new AugmentedWebSocket(url, callback, true),

    /** Sends over one socket; returns the message's id. */
    sendTo: (target, ...message) => post(single(target), ...message).ids[0],

    /** Sends over all sockets; returns the message's id for each that will send it. */
    sendToAll: (message, ...data) => !!message && post(everybody(), message, ...data).ids,
    send: (...message) => socket.sendToAll(...message),

    /** Sends `channel.event` over one socket or over all; fulfilled with the first receipt. */
    signal(channel, event, data, target, callback) {
      if (typeof target === 'function') [callback, target] = [target];
      return post(target ? single(target) : everybody(), `${channel}.${event}`, data, callback).promise;
    },

    /** Ends all connections. */
    close: () => live.forEach((each) => each.close()),
  };

  const webSocket = {
    AugmentedWebSocket,
    socketString,

    /** A socket that `sendToAll` does not mean. */
    connect(uri, success) {
      const made = new AugmentedWebSocket(uri);
      if (success) made.addEventListener('open', success, { once: true });
      return made;
    },

    getActiveSocket: () => [...live].find((each) => each.connected) ?? false,
    isConnected: () => !!webSocket.getActiveSocket(),
    send: (data) => webSocket.getActiveSocket() && webSocket.getActiveSocket().send(data),
    sendJson: (target, ...message) => !!target && target.sendJson(...message),
    close: (target) => target.close(),

    eventHook(names, callback) {
      on(names, callback);
      return webSocket;
    },
  };

  const pocket = {
    socket,
    isocket: socket,
    webSocket,
    /** Attempts in a row that one server gets. */
    retryLimit: Infinity,
    /** `false`, or the bounds of the random wait: `{min, max}` in ms. */
    reconnect: RETRY,
    /** Messages that may wait for a connection, for each socket. */
    queueLimit: 100,
    /** How long a server may take to answer, in ms. */
    connectTimeout: 5000,
  };

  Object.assign(globalThis, { pocket, AddressException });
}
if (typeof module === 'object') {
  const { pocket, AddressException } = globalThis;
  module.exports = { pocket, AddressException };
}

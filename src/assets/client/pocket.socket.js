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
 * It waits a random time, and as long as the browser is offline; when it is online again, or the page is looked at
 * again, it tries at once. It is closed for good by `close()`, without `reconnect`, and by a server that says so: 1008
 * and 4000 to 4999. After 1012 and 1013 it waits at least `min`, after a reason with `retry_after_ms: N` at least
 * that, or asks a server that was not tried.
 */
'use strict';
// A second copy in the same page shares the sockets and listeners of the first.
if (!globalThis.pocket?.connectTimeout) (() => {
  /** Ids of messages that are remembered to know a second copy by. */
  const SEEN_LIMIT = 1000;

  /** Messages that may wait for a receipt: some servers of this protocol send none. */
  const RECEIPT_LIMIT = 10000;

  /** What the original server listens on if it is not told otherwise. */
  const PORT = 8001;

  /** What the channel `socket` tells of a connection nobody else may say. */
  const OWN_EVENTS = /^(connecting|open|close|error|reconnect|drop|(dis)?connected|sent)$/;

  const CONNECTING = 0;
  const OPEN = 1;
  const CLOSING = 2;
  const CLOSED = 3;

  /** Listeners by channel and by whole message (`channel.event`): `(event, data, socket)`. */
  const hooks = { __proto__: null };

  /** Sockets that are not over and that nobody has closed. */
  const live = new Set();

  /** The socket that brought a message first, by its id, oldest first; size <= SEEN_LIMIT. */
  const seen = new Map();

  /** What waits for a receipt, by id, oldest first; size <= RECEIPT_LIMIT. */
  const requests = new Map();

  /** An address that cannot be used, or none. */
  class AddressException extends Error {
    name = 'AddressException';
  }

  /** As a URL for WebSocket: `http` is read as `ws`; without a scheme, or even a host, it is that of the page. */
  const urlOf = (address) => {
    if (/^\w+:\/\//.test(address)) return String(address).replace(/^http/i, 'ws');
    return `ws${globalThis.location?.protocol === 'https:' ? 's' : ''}://${/^\//.test(address) ? location.host : ''}${address}`;
  };

  /** Calls what a user handed us; what it throws is reported by the platform and does not disturb us. */
  const call = (callback, ...args) => {
    try {
      return callback?.(...args);
    } catch (error) {
      setTimeout(() => {
        throw error;
      });
    }
  };

  /**
   * Calls `connect` again when it is time to: `[opened, stop, lost]`. `opened` and `lost` are told what happens; `lost`
   * says what follows, without `retryMs` where nothing does.
   */
  const keeper = (connect) => {
    /** Since a connection lasted. */
    let attempt = 0;
    let openedAt;
    let stop;
    return [
      () => (openedAt = Date.now()),
      () => stop?.(),
      ({ code, reason }, url, reconnect) => {
        const { min = 500, max = 30000 } = Object(reconnect);
        const { location, document, navigator, addEventListener } = globalThis;
        const { hostname } = new URL(url);
        // Browsers may keep pages from addresses inside and do not say so, but for pages that are from this machine.
        const isApart =
          location && hostname !== location.hostname && !/^(localhost|127|\[::1)/.test(location.hostname) &&
          /^[^.]+$|\.(\d+|local|lan|internal|arpa)$/.test(hostname);
        const hint = isApart && !openedAt ? `Blocked? Allow the local network, or load the page from ${hostname}` : '';
        // One that is cut at once does not start the backoff anew.
        if (Date.now() - openedAt > max) attempt = 0;
        openedAt = NaN;
        if (reconnect === false || /^(4|1008)/.test(code)) return { hint };
        const [, least = (code | 1) === 1013 ? min : 0] = /retry_after_ms\D+(\d+)/.exec(reason) ?? [];
        const retryMs = +least + Math.random() * Math.min(max, min * 2 ** attempt);
        const control = new AbortController();
        // Nothing shortens what the server asked for.
        let isDue = !+least;
        const go = () => {
          if (navigator?.onLine === false || !isDue) return;
          stop();
          connect();
        };
        const timer = setTimeout(() => {
          isDue = true;
          go();
        }, retryMs);
        addEventListener?.('online', go, control);
        document?.addEventListener('visibilitychange', () => document.hidden || go(), control);
        stop = () => {
          clearTimeout(timer);
          control.abort();
        };
        return { attempt: attempt++, retryMs, hint };
      },
    ];
  };

  const dispatch = (channel, event, data, socket) => {
    hooks[channel]?.forEach((hook) => call(hook, event, data, socket));
    if (channel === 'socket') call(socket?.callback, event, { name: socket?.name, socket, data });
  };

  /** The message waits for no receipt any more; nobody who has not sent it will. */
  const end = (request, error) => {
    requests.delete(request.id);
    request.life?.abort();
    request.reject?.(error);
  };

  const fault = (code) => Object.assign(new Error('pocket: ' + code), { code });

  /** This socket will bring no receipt; where it was the last one that could, the promise is rejected. */
  const fail = (request, code, socket) => {
    request.on?.delete(socket);
    if (!request.on?.size) end(request, fault(code));
  };

  const drop = (request, code, socket) => {
    dispatch('socket', 'drop', { ...request, code, socket }, socket);
    fail(request, code, socket);
  };

  /** Sends one message over all these: `[ids, promise]`. Where data would be, there may be the callback. */
  const post = (sockets, message, data = {}, callback = undefined) => {
    if (typeof data === 'function') [callback, data] = [data, {}];
    const { signal } = Object(callback);
    // The same id everywhere, by which a receiver on several servers knows a second copy.
    const id = Math.random().toString(32);
    const request = { id, message, data, frame: JSON.stringify({ id, message, data }), on: new Set(sockets) };
    request.callback = signal ? callback.callback : callback;
    const promise = new Promise((resolve, reject) => Object.assign(request, { resolve, reject }));
    // Nobody has to look at the promise. Whoever does look still sees the rejection.
    promise.catch(() => {});
    requests.set(id, request);
    if (requests.size > RECEIPT_LIMIT) end(requests.values().next().value, fault('NO_RECEIPT'));
    const abort = () => end(request, signal.reason);
    signal?.addEventListener('abort', abort, (request.life = new AbortController()));
    if (signal?.aborted) abort();
    if (!sockets.length) drop(request, 'CLOSED');
    return [sockets.map((socket) => socket.submit(request)), promise];
  };

  /** The sockets of `sendToAll`; where there are none, those that `setup` prepared are made. */
  const everybody = () => {
    if (!live.size && connection.isSetup()) connect();
    return [...live];
  };

  const single = (socket) => {
    if (socket?.submit) return [socket];
    throw new AddressException('Socket does not exist');
  };

  /** What a socket received: a push of the server, a message on a channel, or anything else. */
  const receive = (socket, __event) => {
    let json = {};
    try {
      // A binary frame is never JSON, whatever its bytes spell.
      json = Object(typeof __event.data === 'string' && JSON.parse(__event.data));
    } catch {
      // Anything else.
    }
    const { id, message } = json;
    json.__event = __event;
    if ('socket' in json) {
      const request = json.socket === 'sent' && requests.get(json.messageId);
      if (request && request.on.delete(socket)) {
        request.resolve(json);
        call(request.callback, json, socket);
        if (!request.on.size) end(request);
      }
      dispatch('socket', json.socket, json, socket);
    } else if (typeof message !== 'string') dispatch('socket', 'message', __event, socket);
    // Otherwise it is the same message by way of another server.
    else if (live.size < 2 || typeof id !== 'string' || (seen.get(id) ?? socket) === socket) {
      seen.set(id, socket);
      if (seen.size > SEEN_LIMIT) seen.delete(seen.keys().next().value);
      const [channel, event] = ([json.__channel, json.__eventName] = message.split('.'));
      if (channel === 'socket' && OWN_EVENTS.test(event)) return;
      if (event !== undefined) dispatch(channel, event, json, socket);
      dispatch(message, message, json, socket);
    }
  };

  /**
   * Stands for a WebSocket through all its connections: what is sent while there is none waits for the next one. Connects
   * at once, to the first of `addresses` that answers.
   *
   * It tells the channel `socket`: `connecting`, `open`, `message`, `error`, `close` (with every connection that ends;
   * `readyState` is 3 when it is over for good), `reconnect` (tried again in `retryMs`), `drop` (`data` will not be
   * sent: `code` is `QUEUE_FULL` or `CLOSED`). The WebSocket's own events are also for `addEventListener` and `on…`.
   */
  const newSocket = (addresses, callback) => {
    let socket;
    let index = 0;
    let untried = addresses.length - 1;
    let timer;
    let settle;
    /** What was sent while there was no connection, oldest first; length <= pocket.queueLimit. */
    let queue = [];
    /** The addresses that are tried in turn. */
    const uris = addresses.map(checked);

    const tell = (event, data) => dispatch('socket', event, data, self);

    /** Tells listeners, then `on<type>`; returns the event, which is of one class whatever a WebSocket's own are of. */
    const emit = (type, fields, event) => {
      const told = Object.assign(new MessageEvent(type, event), fields);
      self.dispatchEvent(told);
      call(() => self['on' + type]?.(told));
      return told;
    };

    /** Nothing that was sent on the connection will be acknowledged any more. */
    const leave = () => {
      clearTimeout(timer);
      requests.forEach((request) => queue.includes(request) || fail(request, 'CLOSED', self));
    };

    /** Sends a request, or keeps it until there is a connection; returns its id unless it is dropped. */
    const submit = (request) => {
      const isOver = ({ id }) => id && !requests.has(id);
      if (isOver(request)) return;
      if (self.connected) socket.send(request.frame);
      else {
        // What was called back takes no room.
        queue = queue.filter((each) => !isOver(each));
        if (self.readyState >= CLOSING) return drop(request, 'CLOSED', self);
        if (queue.length >= pocket.queueLimit) return drop(request, 'QUEUE_FULL', self);
        queue.push(request);
      }
      return request.id;
    };

    const close = (event) => {
      const { code, reason, wasClean } = event;
      const mayRetry = self.readyState < CLOSING && pocket.reconnect;
      // Nobody waits while there is a server that was not tried.
      const told = lost(event, self.uri, mayRetry && untried-- > 0 ? { max: 0 } : mayRetry);
      const { retryMs, hint } = told;
      self.readyState = retryMs === undefined ? CLOSED : CONNECTING;
      leave();
      if (self.readyState) {
        live.delete(self);
        queue.splice(0).forEach(submit);
        settle[1](new AddressException('Not connected: ' + uris));
      }
      tell('close', emit('close', { code, reason, wasClean, hint }));
      // A listener may have ended it, or begun anew.
      if (self.readyState || socket.readyState < CLOSED) return;
      index = (index + 1) % uris.length;
      tell('reconnect', { socket: self, ...told });
    };

    const listeners = {
      open() {
        clearTimeout(timer);
        self.readyState = OPEN;
        opened();
        // What waited goes before anything newer.
        queue.splice(0).forEach(submit);
        settle[0](self);
        tell('open', { socket: self, data: emit('open') });
      },
      close,
      message: (event) => receive(self, emit('message', {}, event)),
      error: () => tell('error', emit('error')),
    };

    const connect = () => {
      const WebSocket = pocket.WebSocket ?? globalThis.WebSocket;
      if (!WebSocket) throw new Error('No WebSocket: set pocket.WebSocket');
      stop();
      leave();
      self.readyState = CONNECTING;
      self.name = addresses[index];
      self.uri = uris[index];
      tell('connecting', [self.name, self.uri]);
      // The server answers the first and never the second, which shows it who we are.
      const made = new WebSocket(self.uri, pocket.token && ['jackfield', `jackfield.token.${pocket.token}`]);
      made.binaryType = socket?.binaryType ?? 'blob';
      socket = made;
      live.add(self);
      timer = setTimeout(() => made.close(), pocket.connectTimeout);
      for (const type in listeners) made['on' + type] = (event) => socket === made && listeners[type](event);
    };
    const [opened, stop, lost] = keeper(connect);

    const self = Object.assign(
      Object.defineProperties(new EventTarget(), {
        connected: { get: () => socket.readyState === OPEN },
        bufferedAmount: { get: () => socket.bufferedAmount },
        binaryType: { get: () => socket.binaryType, set: (type) => (socket.binaryType = type) },
      }),
      {
        uris,
        callback,
        submit,
        /** Fulfilled by the first connection, rejected where there never was one. */
        opened: new Promise((...both) => (settle = both)),

        /** Sends anything a WebSocket sends, as it is. Do not change bytes while they wait for a connection. */
        send: (data) => void submit({ frame: data, data }),

        /** Sends a message; returns its id. */
        sendJson: (...message) => post([self], ...message)[0][0],

        /** Leaves the connection, if there is one, for a new one. */
        reconnect() {
          socket.close();
          connect();
        },

        /** Ends for good: no reconnect. */
        close(...args) {
          if (self.readyState >= CLOSING) return;
          const noEventWillCome = socket.readyState === CLOSED;
          // Refuses what a WebSocket refuses, before anything has changed.
          socket.close(...args);
          stop();
          live.delete(self);
          self.readyState = CLOSING;
          if (noEventWillCome) timer = setTimeout(close, 0, { code: 1006, reason: '', wasClean: false });
        },
      },
    );
    self.opened.catch(() => {});
    connect();
    return self;
  };

  const isUrl = (text) => /^\w+:\/\//.test(text);
  const joined = ([ip, port]) => ip + (port ? ':' + port : '');

  /** An address in any of its forms as `[ip, port]`; a whole URL has no port of its own. */
  const split = (address = '') => {
    if (Array.isArray(address)) return address;
    const { ip, port } = Object(address);
    return ip ? [ip, port] : /^(\w+:\/\/.*|\[.*\]|[^:]*):?(.*)$/.exec(address).slice(1);
  };

  /** An address in any of its forms as a URL that a WebSocket would take. */
  const checked = (address) => {
    const uri = urlOf(joined(split(address)));
    try {
      if (/^wss?:/.test(new URL(uri))) return uri;
    } catch {
      // Told below.
    }
    throw new AddressException('Cannot connect without URI: ' + uri);
  };

  /** The words that may stand among the arguments, in any place. */
  const LIST_TYPE = /^(mix|flat)$/;
  const CONNECTION_TYPE = /^(broadcast|overflow)$/;
  const wordOf = (type, args, otherwise) => args.find((arg) => type.test(arg)) ?? otherwise;

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
      const isFlat = listType === 'flat';
      if (isFlat && addresses.length !== ports.length) throw new AddressException('Not the same length for "flat"');
      addresses.forEach((ip, i) => (isFlat ? [ports[i]] : ports).forEach((port) => addToList(list, ip, port)));
      return Object.defineProperty(list, 'toArray', { value: () => list.map(String) });
    },

    /** Adds an item and returns it; an empty one where something is missing. */
    addToList(list, ip, port, name = '') {
      if (!ip || (!port && !isUrl(ip))) return {};
      const item = { ip, port, name, toString: () => joined([ip, port]) };
      list.push(item);
      return item;
    },

    /** Forgets all addresses; connections stay. */
    empty: () => !!Object.assign(connection, { addresses: [], ports: [] }),

    on,
    connect,
  };

  /** Calls `callback` for a channel or for one event of it. */
  function on(channel, event, callback) {
    const hook = typeof event === 'function' ? event : (name, ...told) => name === event && callback(...told);
    (hooks[channel] ??= []).push(hook);
    return this;
  }

  /** Connects to a list or to what `setup` prepared; fulfilled with the sockets when all have been open. */
  function connect(...args) {
    const given = args.find((arg) => arg && !LIST_TYPE.test(arg) && !CONNECTION_TYPE.test(arg));
    const list = [given ?? connection.list(wordOf(LIST_TYPE, args))].flat();
    if (!list.length) throw new AddressException('Missing connections');
    // All are looked at before the first one is connected to.
    list.forEach(checked);
    const isOverflow = wordOf(CONNECTION_TYPE, args, connection.connectionType) === 'overflow';
    const sockets = (isOverflow ? [list] : list.map((address) => [address])).map(
      (addresses) => [...live].find(({ uris }) => uris.join() === addresses.map(checked).join()) ?? newSocket(addresses),
    );
    const all = Promise.all(sockets.map((socket) => socket.opened));
    all.catch(() => {});
    return all;
  }

  const socket = {
    connection,
    on,
    connect,

    /** Says where to connect to; the types list all forms. */
    setup(address = '127.0.0.1', ...rest) {
      const isMany = typeof address === 'object' && !address.ip;
      const pairs = (isMany ? Object.values(address) : [address]).map(split);
      const [given] = rest;
      const ports = parseInt(given) > 0 && [given].flat();
      return Object.assign(connection, {
        addresses: pairs.map(([ip]) => ip),
        ports: ports || pairs.map(([ip, port]) => port || (isUrl(ip) ? '' : PORT)),
        listType: wordOf(LIST_TYPE, rest, ports ? 'mix' : 'flat'),
        connectionType: wordOf(CONNECTION_TYPE, rest, 'broadcast'),
      });
    },

    /** A socket beside those of `connect`; `callback(name, {name, socket, data})` is told what channel `socket` is. */
    makeSocket: (address, callback) => newSocket([address], callback),

    /** Sends over one socket; returns the message's id. */
    sendTo: (target, ...message) => post(single(target), ...message)[0][0],

    /** Sends over all sockets; returns the message's id for each that will send it. */
    sendToAll: (message, ...data) => !!message && post(everybody(), message, ...data)[0],
    send: (...message) => socket.sendToAll(...message),

    /** Sends `channel.event` over one socket or over all; fulfilled with the first receipt. */
    signal(channel, event, data, target, callback) {
      if (typeof target === 'function') [callback, target] = [target];
      return post(target ? single(target) : everybody(), `${channel}.${event}`, data, callback)[1];
    },

    /** Ends all connections. */
    close: () => live.forEach((each) => each.close()),
  };

  const pocket = {
    socket,
    /** `false`, or the bounds of the random wait: `{min, max}` in ms (500, 30000). */
    reconnect: true,
    /** Messages that may wait for a connection, for each socket. */
    queueLimit: 100,
    /** How long a server may take to answer, in ms. */
    connectTimeout: 5000,
  };

  Object.assign(globalThis, { pocket, AddressException });
})();
if (typeof module === 'object') {
  const { pocket, AddressException } = globalThis;
  module.exports = { pocket, AddressException };
}

/**
 * LocalWebSocket, BroadcastWebSocket and NetworkWebSocket: a WebSocket to everybody who uses the same name, on one machine
 * or on the whole network; the last one also to each of them alone.
 *
 * One file, no dependencies. Loaded as a classic script or as an ES module it sets the globals; `require` returns them.
 * A file with `export` would not be a classic script, so `import { LocalWebSocket }` is for `named.mjs`, which loads
 * this file and exports what it set. Types are in `named.d.ts`.
 *
 * Used like a WebSocket, as with the polyfill of the named WebSockets proxy. Beyond it: binary, a lost connection is
 * made again, what is sent meanwhile waits, and what cannot wait is told (`drop`).
 *
 *     connecting ──▶ open ──▶ waiting ──▶ connecting ──▶ …      `open`, then `lost` for each connection that ends
 *         └────────────┴─────────┴──▶ closed                    `close`, once
 *
 * It waits a random time, and as long as the browser is offline; when it is online again, or the page is looked at
 * again, it tries at once. It is closed for good by `close()`, by its `signal`, without `reconnect`, and by a server that
 * says so: 1008 and 4000 to 4999. After 1012 and 1013 it waits at least `min`, after a reason with `retry_after_ms: N` at
 * least that.
 */
'use strict';
{
  /** Messages that may wait for a connection. */
  const QUEUE_LIMIT = 100;

  /** How long a server may take to answer. */
  const CONNECT_MS = 10000;

  /** A network channel that has told nothing for twice as long, although asked, is lost. The others cannot be asked. */
  const HEARTBEAT_MS = 30000;

  /** `.` and `..` are fine for the server, but a URL cannot end in them. */
  const NAME = /^(?!\.\.?$)[\w.+=*-]{1,255}$/;

  /** The frames in which the server speaks to those who asked for presence. */
  const PRESENCE = { ____connect: 1, ____disconnect: -1 };

  const [CONNECTING, OPEN, CLOSING, CLOSED] = [0, 1, 2, 3];

  /** The server that a script came from; `undefined` for a copy that lies somewhere else. */
  const home = (script) => /^(http.*)\/client\/named\.m?js/.exec(script)?.[1];

  /** What `send` would send now, safe from later changes. */
  const snapshot = (data) =>
    ArrayBuffer.isView(data)
      ? data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength)
      : data instanceof ArrayBuffer || data instanceof Blob
        ? data.slice()
        : String(data);

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

  /** Tells listeners, then `on<type>`. */
  const emit = (target, type, fields) => {
    const event = fields instanceof Event ? fields : Object.assign(new Event(type), fields);
    target.dispatchEvent(event);
    call(() => target['on' + type]?.(event));
  };

  /** What kinds do in their own way: show what was to be sent, take what comes, see to who is left, ask for an answer. */
  const [shown, take, forget, ask] = [Symbol(), Symbol(), Symbol(), Symbol()];

  /**
   * Events beside a WebSocket's: `connect` and `disconnect` (another member came or went; `peerCount` is up to date),
   * `lost` (the connection is gone and will be tried again in `retryMs`), `drop` (`data` will not be sent: `code` is
   * `QUEUE_FULL` or `CLOSED`). `open` comes with every connection, `close` once, when it is over for good.
   */
  class NamedSocket extends EventTarget {
    #socket;
    #protocols;
    #options;
    /** What was sent while there was no connection, oldest first; length <= queueLimit. */
    #queue = [];
    #state = CONNECTING;
    #binaryType = 'blob';
    #keeper = keeper(() => this.#connect());
    /** The timer of the heartbeat, and before that of how long a connection may take to open. */
    #pulse;
    /** Aborted when it is over. */
    #life = new AbortController();
    #isMissed;

    constructor(kind, name, protocols, options) {
      super();
      if (name == null || !NAME.test(name)) throw Object.assign(new Error(String(name)), { name: 'Invalid Service Name' });
      const server = options.server ?? home(options.script) ?? 'ws://localhost:9009';
      /** Other members that are connected now. */
      this.peerCount = 0;
      this.url = `${urlOf(server).replace(/\/$/, '')}/${kind}/${name}`;
      if (kind !== 'network') this.url += `?presence=1${options.echo ? '&echo=1' : ''}`;
      this.#protocols = protocols;
      this.#options = { queueLimit: QUEUE_LIMIT, heartbeat: HEARTBEAT_MS, WebSocket: globalThis.WebSocket, ...options };
      if (!this.#options.WebSocket) throw new Error('No WebSocket: give one as the option WebSocket');
      this.#connect();
      const { signal } = options;
      signal?.addEventListener('abort', () => this.close(), this.#life);
      if (signal?.aborted) this.close();
    }

    get readyState() {
      return this.#state;
    }

    get protocol() {
      return this.#socket.protocol;
    }

    get extensions() {
      return this.#socket.extensions;
    }

    get bufferedAmount() {
      const waiting = this.#queue.reduce((sum, data) => sum + new Blob([data]).size, 0);
      return this.#socket.bufferedAmount + waiting;
    }

    get binaryType() {
      return this.#binaryType;
    }

    set binaryType(type) {
      this.#socket.binaryType = this.#binaryType = type;
    }

    /** Sends to every other member; waits for a connection where there is none. */
    send(data) {
      if (this.#state === OPEN && this.#socket.readyState === OPEN) this.#socket.send(data);
      else if (this.#state >= CLOSING) this.#drop(data, 'CLOSED');
      else if (this.#queue.length < this.#options.queueLimit) this.#queue.push(snapshot(data));
      else this.#drop(data, 'QUEUE_FULL');
    }

    /** Ends for good: no reconnect. */
    close(code, reason) {
      if (this.#state >= CLOSING) return;
      const noEventWillCome = this.#socket.readyState === CLOSED;
      // Refuses what a WebSocket refuses, before anything has changed.
      if (code === undefined) this.#socket.close();
      else this.#socket.close(code, reason);
      this.#state = CLOSING;
      const [, stop] = this.#keeper;
      stop();
      clearInterval(this.#pulse);
      if (noEventWillCome) setTimeout(() => this.#over({ code: 1006, reason: '', wasClean: false }));
    }

    #connect() {
      const socket = (this.#socket = new this.#options.WebSocket(this.url, this.#protocols));
      this.#pulse = setTimeout(() => socket.close(), CONNECT_MS);
      socket.binaryType = this.#binaryType;
      socket.onopen = () => this.#opened();
      socket.onmessage = (event) => {
        this.#isMissed = false;
        this[take](event);
      };
      socket.onerror = () => emit(this, 'error');
      socket.onclose = (event) => this.#closed(event);
    }

    #opened() {
      this.#state = OPEN;
      this.#isMissed = false;
      const [opened] = this.#keeper;
      opened();
      // What waited goes before anything newer.
      this.#queue.splice(0).forEach((data) => this.#socket.send(data));
      clearTimeout(this.#pulse);
      const { heartbeat } = this.#options;
      if (this[ask] && heartbeat) this.#pulse = setInterval(() => this.#beat(), heartbeat);
      emit(this, 'open');
    }

    /** Asks for a sign of life where there was none since the last time; a second silence is the end. */
    #beat() {
      if (this.#isMissed) {
        this.#socket.onclose = null;
        this.#socket.close();
        return this.#closed({ code: 1006, reason: 'no answer', wasClean: false });
      }
      this.#isMissed = true;
      this[ask]();
    }

    [shown](data) {
      return data;
    }

    [take]({ data, origin }) {
      // A binary frame is never presence, whatever its bytes spell.
      if (typeof data === 'string' && Object.hasOwn(PRESENCE, data)) this.#peers(PRESENCE[data]);
      else emit(this, 'message', new MessageEvent('message', { data, origin }));
    }

    #peers(change) {
      this.peerCount += change;
      emit(this, change > 0 ? 'connect' : 'disconnect');
    }

    [forget]() {
      while (this.peerCount > 0) this.#peers(-1);
    }

    #closed({ code, reason, wasClean }) {
      clearInterval(this.#pulse);
      const [, , lost] = this.#keeper;
      const told = lost({ code, reason }, this.url, this.#state < CLOSING && this.#options.reconnect);
      const fields = { code, reason, wasClean, ...told };
      const isOver = told.retryMs === undefined;
      if (!isOver) {
        this.#state = CONNECTING;
        emit(this, 'lost', fields);
      }
      // The server announces those who are there when we are back.
      this[forget]();
      if (isOver) this.#over(fields);
    }

    #over(fields) {
      this.#state = CLOSED;
      this.#life.abort();
      this.#queue.splice(0).forEach((data) => this.#drop(data, 'CLOSED'));
      emit(this, 'close', fields);
    }

    #drop(data, code) {
      emit(this, 'drop', { data: this[shown](data), code });
    }
  }

  /** Text, which is all that travels between peers. */
  const text = (data) => {
    if (data instanceof Object) throw new TypeError('Peers understand text: send a string');
    return String(data);
  };

  /** Another member: what is sent to it reaches nobody else. Events: `open`, `message`, `close`. */
  class Peer extends EventTarget {
    #say;

    constructor(id, say) {
      super();
      this.id = id;
      this.url = '#';
      this.readyState = OPEN;
      this.#say = say;
      // Whoever hears of it first may listen before it opens.
      queueMicrotask(() => emit(this, 'open'));
    }

    send(data) {
      if (this.readyState !== OPEN) throw new Error('The peer is gone');
      this.#say({ action: 'message', target: this.id, data: text(data) });
    }

    /** Ends it on this side only. */
    close(code = 3001, reason = 'Closed') {
      if (this.readyState === CLOSED) return;
      this.readyState = CLOSED;
      emit(this, 'close', { code, reason, wasClean: true });
    }
  }

  /** As NamedSocket, for text; `connect` and `disconnect` carry the peer as `detail.target`. */
  class NetworkSocket extends NamedSocket {
    /** One's own id, once the server has told it. */
    id = '';
    /** The other members that are connected now. */
    peers = [];

    constructor(...all) {
      super(...all);
      this.addEventListener('open', () => this[ask]());
    }

    send(data) {
      this.#say({ action: 'broadcast', data: text(data) });
    }

    #say(action) {
      super.send(JSON.stringify(action));
    }

    [shown](data) {
      return JSON.parse(data).data;
    }

    [ask]() {
      this.#say({ action: 'status' });
    }

    [take](event) {
      const { action, source, target, data = '' } = JSON.parse(event.data);
      const from = this.peers.find(({ id }) => id === source);
      const message = () => new MessageEvent('message', { data, origin: event.origin });
      if (action === 'connect') {
        this.id = source;
        const peer = new Peer(target, (words) => this.#say(words));
        this.peers.push(peer);
        this.#tell(action, peer);
      } else if (action === 'disconnect') this.#lose(this.peers.find(({ id }) => id === target));
      else if (action === 'status') this.id = source;
      else if (action === 'broadcast') from && emit(this, 'message', message());
      else if (from?.readyState === OPEN) emit(from, 'message', message());
    }

    [forget]() {
      this.peers.slice().forEach((peer) => this.#lose(peer));
    }

    #lose(peer) {
      if (!peer) return;
      this.peers.splice(this.peers.indexOf(peer), 1);
      peer.close(3000, 'Closed by remote peer');
      this.#tell('disconnect', peer);
    }

    #tell(type, target) {
      this.peerCount = this.peers.length;
      emit(this, type, new CustomEvent(type, { detail: { target } }));
    }
  }

  /**
   * Makes the public function, which works with `new` and without, as the polyfill's did.
   *
   * `(name, protocols, options)`; options: `server` (`ws://host:port`; default: the one that this file was loaded from,
   * else `ws://localhost:9009`), `reconnect` (`false`, or `{min, max}` in ms), `queueLimit` (100), `echo` (own messages
   * come back too), `heartbeat` (of networks, in ms; 0: none), `signal` (an AbortSignal that closes it), `WebSocket` (a
   * constructor, where there is no global one).
   */
  const kind = (path, Socket) => {
    const named = function (name, protocols, options) {
      return new Socket(path, name, protocols, { ...named, ...options });
    };
    named.prototype = Socket.prototype;
    named.script = globalThis.document?.currentScript?.src;
    for (const target of [named, named.prototype]) Object.assign(target, { CONNECTING, OPEN, CLOSING, CLOSED });
    return named;
  };

  const LocalWebSocket = kind('local', NamedSocket);
  const BroadcastWebSocket = kind('broadcast', NamedSocket);
  const NetworkWebSocket = kind('network', NetworkSocket);
  Object.assign(globalThis, { LocalWebSocket, BroadcastWebSocket, NetworkWebSocket });
  if (typeof module === 'object') module.exports = { LocalWebSocket, BroadcastWebSocket, NetworkWebSocket };
}

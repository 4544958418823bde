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
 */
'use strict';
{
  /** A retry waits a random time below `min * 2^attempt` and below `max` (full jitter), both in milliseconds. */
  const RETRY = { min: 500, max: 30000 };

  /** Messages that may wait for a connection. */
  const QUEUE_LIMIT = 100;

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

  /** Tells listeners, then `on<type>`. */
  const emit = (target, event) => {
    const handler = () => target['on' + event.type]?.(event);
    // Called as a listener, what it throws is reported by the platform and stays away from us.
    target.addEventListener(event.type, handler);
    target.dispatchEvent(event);
    target.removeEventListener(event.type, handler);
  };

  /** What kinds do in their own way: show what was to be sent, take what comes, and see to who is left. */
  const [shown, take, forget] = [Symbol(), Symbol(), Symbol()];

  /**
   * Events beside a WebSocket's: `connect` and `disconnect` (another member came or went; `peerCount` is up to date),
   * `lost` (the connection is gone and will be tried again in `retryMs`), `drop` (`data` will not be sent: `code` is
   * `QUEUE_FULL` or `CLOSED`). `open` comes with every connection, `close` once, when it is over for good.
   */
  class NamedSocket extends EventTarget {
    #socket;
    #Socket;
    #protocols;
    #retry;
    #limit;
    /** What was sent while there was no connection, oldest first; length <= #limit. */
    #queue = [];
    #state = CONNECTING;
    #binaryType = 'blob';
    #attempt = 0;
    #openedAt = 0;
    #timer;

    constructor(kind, name, protocols, options) {
      super();
      if (name == null || !NAME.test(name)) throw Object.assign(new Error(String(name)), { name: 'Invalid Service Name' });
      const server = options.server ?? home(options.script) ?? 'ws://localhost:9009';
      /** Other members that are connected now. */
      this.peerCount = 0;
      this.url = `${String(server).replace(/^http/i, 'ws').replace(/\/$/, '')}/${kind}/${name}`;
      if (kind !== 'network') this.url += `?presence=1${options.echo ? '&echo=1' : ''}`;
      this.#protocols = protocols;
      this.#retry = options.reconnect !== false && { ...RETRY, ...options.reconnect };
      this.#limit = options.queueLimit ?? QUEUE_LIMIT;
      this.#Socket = options.WebSocket ?? globalThis.WebSocket;
      if (!this.#Socket) throw new Error('There is no WebSocket here: give one as the option WebSocket');
      this.#connect();
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
      else if (this.#queue.length < this.#limit) this.#queue.push(snapshot(data));
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
      clearTimeout(this.#timer);
      if (noEventWillCome) setTimeout(() => this.#over({ code: 1006, reason: '', wasClean: false }));
    }

    #connect() {
      const socket = (this.#socket = new this.#Socket(this.url, this.#protocols));
      socket.binaryType = this.#binaryType;
      socket.onopen = () => this.#opened();
      socket.onmessage = (event) => this[take](event);
      socket.onerror = () => emit(this, new Event('error'));
      socket.onclose = (event) => this.#closed(event);
    }

    #opened() {
      this.#state = OPEN;
      this.#openedAt = Date.now();
      // What waited goes before anything newer.
      this.#queue.splice(0).forEach((data) => this.#socket.send(data));
      emit(this, new Event('open'));
    }

    [shown](data) {
      return data;
    }

    [take]({ data, origin }) {
      // A binary frame is never presence, whatever its bytes spell.
      if (typeof data === 'string' && Object.hasOwn(PRESENCE, data)) this.#peers(PRESENCE[data]);
      else emit(this, new MessageEvent('message', { data, origin }));
    }

    #peers(change) {
      this.peerCount += change;
      emit(this, new Event(change > 0 ? 'connect' : 'disconnect'));
    }

    [forget]() {
      while (this.peerCount > 0) this.#peers(-1);
    }

    #closed({ code, reason, wasClean }) {
      const isLost = this.#state < CLOSING && this.#retry;
      if (isLost) {
        this.#state = CONNECTING;
        // A connection that lasted starts the backoff anew; one that is cut at once does not.
        if (this.#openedAt && Date.now() - this.#openedAt > this.#retry.max) this.#attempt = 0;
        this.#openedAt = 0;
        const attempt = this.#attempt++;
        const retryMs = Math.random() * Math.min(this.#retry.max, this.#retry.min * 2 ** attempt);
        this.#timer = setTimeout(() => this.#connect(), retryMs);
        emit(this, Object.assign(new Event('lost'), { code, reason, wasClean, attempt, retryMs }));
      }
      // The server announces those who are there when we are back.
      this[forget]();
      if (!isLost) this.#over({ code, reason, wasClean });
    }

    #over(fields) {
      this.#state = CLOSED;
      this.#queue.splice(0).forEach((data) => this.#drop(data, 'CLOSED'));
      emit(this, Object.assign(new Event('close'), fields));
    }

    #drop(data, code) {
      emit(this, Object.assign(new Event('drop'), { data: this[shown](data), code }));
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
      queueMicrotask(() => emit(this, new Event('open')));
    }

    send(data) {
      if (this.readyState !== OPEN) throw new Error('The peer is gone');
      this.#say({ action: 'message', target: this.id, data: text(data) });
    }

    /** Ends it on this side only. */
    close(code = 3001, reason = 'Closed') {
      if (this.readyState === CLOSED) return;
      this.readyState = CLOSED;
      emit(this, Object.assign(new Event('close'), { code, reason, wasClean: true }));
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
      this.addEventListener('open', () => this.#say({ action: 'status' }));
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
      else if (action === 'broadcast') from && emit(this, message());
      else if (from?.readyState === OPEN) emit(from, message());
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
      emit(this, new CustomEvent(type, { detail: { target } }));
    }
  }

  /**
   * Makes the public function, which works with `new` and without, as the polyfill's did.
   *
   * `(name, protocols, options)`; options: `server` (`ws://host:port`; default: the one that this file was loaded from,
   * else `ws://localhost:9009`), `reconnect` (`false`, or `{min, max}` in ms), `queueLimit` (100), `echo` (own messages
   * come back too), `WebSocket` (a constructor, where there is no global one).
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

/**
 * WebShare: pairs this page with one other client by key and relays between the two.
 *
 * One file, no dependencies. Loaded as a classic script or as an ES module it sets the global `WebShare`; `require`
 * returns `{ WebShare }`. A file with `export` would not be a classic script, so `import { WebShare }` is for
 * `webshare.mjs`, which loads this file and exports what it set. Types are in `webshare.d.ts`.
 *
 * Code written for sock-share's client runs unchanged. Beyond it: calls before the connection is open wait for it,
 * every call returns a promise beside its callback, a lost connection is made again, and nothing is lost without a
 * word.
 *
 *     connecting ──▶ open ──▶ waiting ──▶ connecting ──▶ …      `open`, then `lost` for each connection that ends
 *         └────────────┴─────────┴──▶ closed                    `close`, once
 *
 * It waits a random time, but not when the browser is online again or the page is looked at again: then it tries at
 * once. It is closed for good by `close()`, by its `signal`, without `reconnect`, and by a server that says so: 1008
 * (but for one who was only slow) and 4000 to 4999. After 1012 and 1013 it waits at least `min`.
 */
'use strict';
{
  /** A retry waits a random time below `min * 2^attempt` and below `max` (full jitter), both in milliseconds. */
  const RETRY = { min: 500, max: 30000 };

  /** Calls that may wait for a connection. */
  const QUEUE_LIMIT = 100;

  /** A connection without an answer for twice as long is not one any more. */
  const HEARTBEAT_MS = 30000;

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
  const call = (self, callback, ...args) => {
    try {
      callback?.apply(self, args);
    } catch (error) {
      setTimeout(() => {
        throw error;
      });
    }
  };

  /** Answers a request: its promise first, then its callback. */
  const settle = (request, ok, code, body) => {
    if (ok) request.resolve(body);
    else request.reject(Object.assign(new Error('WebShare: ' + code), { code, body }));
    call(request.owner, request.callback, ok, code, body);
  };

  /**
   * One client that can be paired with one other.
   *
   * Handlers `onrelay`, `onunpair`, `oncommanderror`, `onpair`, `onkey` get `(success, code, body)`; `onbinary` gets
   * the bytes; `onopen`, `onlost`, `onclose` get the event. Each is also an event for `addEventListener`, with `detail`
   * as body.
   */
  class WebShare extends EventTarget {
    #url;
    #Socket;
    #protocols;
    #retry;
    #limit;
    /** Requests that no socket has seen, oldest first; length <= #limit. */
    #queue = [];
    /** Requests on their way, by callback id: sent on the current socket and not answered. */
    #waiting = new Map();
    #lastId = 0;
    #attempt = 0;
    #openedAt = 0;
    #isOpen = false;
    #isOver = false;
    #heartbeat;
    #isMissed = false;
    #pulse;
    #hint;
    #callOff = () => {};

    /**
     * Connects at once: `new WebShare(host, port, debug)`, `new WebShare(host, port, options)` or
     * `new WebShare(url, options)`.
     *
     * @param {string} host host name, or a whole URL (`wss://example.org/webshare`; `http` is read as `ws`)
     * @param {number|object} [port] port, or the options after a URL
     * @param {boolean|object} [debug] log every frame, or options: `debug`, `path` (behind the port), `binary` (ask for
     *   binary relay), `reconnect` (`false`, or `{min, max}` in ms), `queueLimit` (100), `heartbeat` (ms; 0: none),
     *   `signal` (an AbortSignal that closes it), `token` (where the server asks for one), `WebSocket` (a constructor, where there is
     *   no global one)
     */
    constructor(host, port, debug) {
      super();
      const isUrl = /^\w+:\/\//.test(host);
      const given = isUrl ? port : debug;
      const options = Object(given);
      this.debug = !!(options === given ? options.debug : given);
      const base = isUrl
        ? String(host).replace(/^http/i, 'ws')
        : // An IPv6 address is bracketed for the URL.
          `ws://${String(host).replace(/^[^[]*:.*/, '[$&]')}:${port}`;
      this.#url = base + (options.path ?? '');
      if (options.binary) this.#url += (this.#url.includes('?') ? '&' : '?') + 'binary=1';
      this.#retry = options.reconnect !== false && { ...RETRY, ...options.reconnect };
      this.#limit = options.queueLimit ?? QUEUE_LIMIT;
      // The server answers the first and never the second, which shows it who we are.
      if (options.token) this.#protocols = ['jackfield', `jackfield.token.${options.token}`];
      this.#Socket = options.WebSocket ?? WebShare.WebSocket ?? globalThis.WebSocket;
      if (!this.#Socket) throw new Error('There is no WebSocket here: give one as the option WebSocket');
      this.#heartbeat = options.heartbeat ?? HEARTBEAT_MS;
      this.#connect();
      options.signal?.addEventListener('abort', () => this.close());
      if (options.signal?.aborted) this.close();
    }

    /** `connecting`, `open`, `waiting` (for the next attempt) or `closed` (for good). */
    get state() {
      if (this.#isOver) return 'closed';
      return this.#isOpen ? 'open' : ['connecting', 'connecting', 'waiting', 'waiting'][this._socket.readyState];
    }

    /** Pairs with the client that has `key`; answers `{with}`. */
    pair(key, callback) {
      return this.#request('pair', callback, { target: key });
    }

    /** Leaves the partner; answers `{with}`. */
    unpair(callback) {
      return this.#request('unpair', callback);
    }

    /** Sends anything that JSON can say to the partner; answers `null` (code `RELAY_SENT`). */
    relay(data, callback) {
      return this.#request('relay', callback, data);
    }

    /** Asks for this client's own key; answers `{key}`. Happens by itself whenever a connection opens. */
    getKey(callback) {
      return this.#request('key', callback);
    }

    /**
     * Sends bytes to the partner as they are; needs the option `binary`. The server gives no receipt: the promise
     * resolves when the bytes are handed to the socket. Do not change them before.
     *
     * @param {ArrayBuffer|ArrayBufferView|Blob} bytes
     */
    relayBinary(bytes, callback) {
      return this.#submit({ frame: bytes }, callback);
    }

    /** Bytes handed to the socket that the network has not taken yet. */
    get bufferedAmount() {
      return this._socket.bufferedAmount;
    }

    /** Ends for good: no reconnect; what is unanswered fails with `CLOSED`. */
    close() {
      if (this.#isOver) return;
      const noEventWillCome = this._socket.readyState > 2;
      this.#isOver = true;
      this._socket.close();
      this.#abandon();
      if (noEventWillCome) setTimeout(() => this.#emit('close', { code: 1006, reason: '', wasClean: false }));
    }

    #connect() {
      const socket = (this._socket = new this.#Socket(this.#url, this.#protocols));
      socket.binaryType = 'arraybuffer';
      this.#hint = hintOf(this.#url);
      socket.onopen = () => this.#opened();
      socket.onmessage = (event) => this.#received(event.data);
      socket.onclose = (event) => this.#closed(event);
      // A close event follows and says it all; some implementations throw when nobody listens.
      socket.onerror = () => {};
    }

    #opened() {
      this.#openedAt = Date.now();
      this.#isOpen = true;
      this.#hint = '';
      this.#isMissed = false;
      this.#pulse = this.#heartbeat && setInterval(() => this.#beat(), this.#heartbeat);
      // The key first, so that it is known when a queued pair is answered; then what waited, before anything newer.
      const queue = this.#queue;
      this.#queue = [];
      this.getKey();
      queue.forEach((request) => this.#submit(request));
      this.#emit('open');
    }

    /** Asks for a sign of life where there was none since the last time; a second silence is the end. */
    #beat() {
      if (this.#isMissed) {
        const socket = this._socket;
        socket.onclose = null;
        socket.close();
        return this.#closed({ code: 1006, reason: 'no answer', wasClean: false });
      }
      this.#isMissed = true;
      this.getKey();
    }

    #request(command, callback, body) {
      const id = String(++this.#lastId);
      return this.#submit({ id, frame: JSON.stringify({ echo: { callbackId: id }, command, body }) }, callback);
    }

    /** Sends a request, or keeps it until a connection opens. A second submission keeps its promise. */
    #submit(request, callback) {
      request.owner ??= Object.assign(request, typeof callback === 'function' ? { callback } : { ...callback }) && this;
      request.promise ??= new Promise((resolve, reject) => Object.assign(request, { resolve, reject }));
      // Nobody has to look at the promise: callbacks came first. Whoever does look still sees the rejection.
      request.promise.catch(() => {});
      const { signal } = request;
      if (signal && !request.isWatched) {
        request.isWatched = true;
        signal.addEventListener('abort', () => this.#forget(request));
      }
      if (signal?.aborted) this.#forget(request);
      else if (this.#isOver) this.#answer(request, false, 'CLOSED');
      else if (this.#isOpen && this._socket.readyState === 1) {
        this.#log('>', request.frame);
        this._socket.send(request.frame);
        if (request.id) this.#waiting.set(request.id, request);
        else this.#answer(request, true, 'SENT');
      } else if (this.#queue.length < this.#limit) this.#queue.push(request);
      else this.#answer(request, false, 'QUEUE_FULL');
      return request.promise;
    }

    /** What was not sent is not sent; an answer to what was is nobody's. */
    #forget(request) {
      this.#queue = this.#queue.filter((each) => each !== request);
      this.#waiting.delete(request.id);
      request.reject(request.signal.reason);
    }

    /** Answers without the server, but like the server after the call that asked has returned. */
    #answer(request, ok, code) {
      queueMicrotask(() => settle(request, ok, code, null));
    }

    #received(data) {
      this.#log('<', data);
      this.#isMissed = false;
      if (typeof data !== 'string') {
        const bytes = new Uint8Array(data);
        return this.#emit('binary', { detail: bytes }, bytes);
      }
      let message;
      try {
        message = JSON.parse(data);
      } catch {
        // Not our server's; with `debug` it was logged.
      }
      const { ok, code, body, command, echo } = Object(message);
      const { key, with: partner } = Object(body);
      const id = echo?.callbackId;
      const request = this.#waiting.get(id);
      this.#waiting.delete(id);
      const report = (type, detail = body) => this.#emit(type, { detail }, ok, code, detail);

      if (ok && code === 'SUCCESS') {
        if (command === 'key' && key !== this.key) {
          const previous = this.key;
          this.key = key;
          report('key', { ...body, previous });
        }
        if (command === 'pair') {
          this.pairedTo = partner;
          report('pair');
        }
        if (command === 'unpair') {
          this.pairedTo = null;
          if (!id) report('unpair');
        }
      }
      if (ok && code === 'RELAY_OK') report('relay');
      // An error that answers no request of ours (a refused binary frame has no echo) is told here or nowhere.
      if (code === 'COMMAND_ERROR' || (ok === false && !request)) report('commanderror');
      if (request) settle(request, ok, code, body);
    }

    #closed({ code, reason, wasClean }) {
      const partner = this.pairedTo;
      const unanswered = [...this.#waiting.values()];
      this.#waiting.clear();
      const hint = this.#hint;
      clearInterval(this.#pulse);
      this.#isOpen = false;
      this.pairedTo = null;
      const isUnwanted = code > 3999 || (code === 1008 && !/^(no answer|too slow)/.test(reason));
      if (this.#isOver || !this.#retry || isUnwanted) {
        this.#isOver = true;
        this.#abandon();
        this.#emit('close', { code, reason, wasClean, hint });
      } else {
        // A connection that lasted starts the backoff anew; one that is cut at once does not.
        if (this.#openedAt && Date.now() - this.#openedAt > this.#retry.max) this.#attempt = 0;
        this.#openedAt = 0;
        const attempt = this.#attempt++;
        const { min, max } = this.#retry;
        const least = code === 1012 || code === 1013 ? min : 0;
        const retryMs = least + Math.random() * Math.min(max, min * 2 ** attempt);
        this.#callOff = soon(() => this.#connect(), retryMs);
        this.#emit('lost', { code, reason, wasClean, attempt, retryMs, hint });
      }
      unanswered.forEach((request) => settle(request, false, 'CLOSED', null));
      const body = { with: partner };
      if (partner) this.#emit('unpair', { detail: body }, true, 'SUCCESS', body);
    }

    /** Nothing will be sent or answered any more. */
    #abandon() {
      this.#callOff();
      clearInterval(this.#pulse);
      this.pairedTo = null;
      const requests = [...this.#waiting.values(), ...this.#queue];
      this.#waiting.clear();
      this.#queue = [];
      requests.forEach((request) => this.#answer(request, false, 'CLOSED'));
    }

    /** Tells listeners, then `on<type>` with `args` (without any: the event). */
    #emit(type, fields, ...args) {
      const event = Object.assign(new Event(type), fields);
      const handler = () => this['on' + type]?.(...(args.length ? args : [event]));
      // Called as a listener, what it throws is reported by the platform and stays away from us.
      this.addEventListener(type, handler);
      this.dispatchEvent(event);
      this.removeEventListener(type, handler);
    }

    #log(direction, data) {
      if (this.debug) console.log('WebShare', direction, data);
    }
  }

  globalThis.WebShare = WebShare;
  if (typeof module === 'object') module.exports = { WebShare };
}

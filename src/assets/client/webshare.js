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
 * It waits a random time, and as long as the browser is offline; when it is online again, or the page is looked at
 * again, it tries at once. It is closed for good by `close()`, by its `signal`, without `reconnect`, and by a server that
 * says so: 1008 and 4000 to 4999. After 1012 and 1013 it waits at least `min`, after a reason with `retry_after_ms: N` at
 * least that.
 */
'use strict';
{
  /** Calls that may wait for a connection. */
  const QUEUE_LIMIT = 100;

  /** How long a server may take to answer. */
  const CONNECT_MS = 10000;

  /** A connection without an answer for twice as long is not one any more. */
  const HEARTBEAT_MS = 30000;

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

  /** Answers a request: its promise first, then its callback. */
  const settle = (request, ok, code, body) => {
    request.life?.abort();
    if (ok) request.resolve(body);
    else request.reject(Object.assign(new Error('WebShare: ' + code), { code, body }));
    call(() => request.callback?.call(request.owner, ok, code, body));
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
    #options;
    /** Requests that no socket has seen, oldest first; length <= queueLimit. */
    #queue = [];
    /** Requests on their way, by callback id: sent on the current socket and not answered. */
    #waiting = new Map();
    #lastId = 0;
    #isOpen = false;
    #isOver = false;
    #isMissed = false;
    /** The timer of the heartbeat, and before that of how long a connection may take to open. */
    #pulse;
    /** Aborted when it is over. */
    #life = new AbortController();
    #keeper = keeper(() => this.#connect());

    /**
     * Connects at once: `new WebShare(host, port, debug)`, `new WebShare(host, port, options)` or
     * `new WebShare(url, options)`.
     *
     * @param {string} host host name (a page of https goes by `wss`), or a URL (`wss://example.org/webshare`,
     *   `/webshare` of the page's own server)
     * @param {number|object} [port] port, or the options after a URL
     * @param {boolean|object} [debug] log every frame, or options: `debug`, `path` (behind the port), `binary` (ask for
     *   binary relay), `reconnect` (`false`, or `{min, max}` in ms), `queueLimit` (100), `heartbeat` (ms; 0: none),
     *   `signal` (an AbortSignal that closes it), `token` (where the server asks for one), `WebSocket` (a constructor,
     *   where there is no global one)
     */
    constructor(host, port, debug) {
      super();
      const isUrl = /^(\w+:\/)?\//.test(host);
      const given = isUrl ? port : debug;
      const options = Object(given);
      this.debug = !!(options === given ? options.debug : given);
      this.#options = {
        queueLimit: QUEUE_LIMIT,
        heartbeat: HEARTBEAT_MS,
        WebSocket: WebShare.WebSocket ?? globalThis.WebSocket,
        ...options,
      };
      if (!this.#options.WebSocket) throw new Error('No WebSocket: give one as the option WebSocket');
      // An IPv6 address is bracketed for the URL.
      this.#url = urlOf(isUrl ? host : `${String(host).replace(/^[^[]*:.*/, '[$&]')}:${port}`) + (options.path ?? '');
      if (options.binary) this.#url += (this.#url.includes('?') ? '&' : '?') + 'binary=1';
      this.#connect();
      options.signal?.addEventListener('abort', () => this.close(), this.#life);
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
      const socket = (this._socket = new this.#options.WebSocket(
        this.#url,
        // The server answers the first and never the second, which shows it who we are.
        this.#options.token && ['jackfield', `jackfield.token.${this.#options.token}`],
      ));
      this.#pulse = setTimeout(() => socket.close(), CONNECT_MS);
      socket.binaryType = 'arraybuffer';
      socket.onopen = () => this.#opened();
      socket.onmessage = (event) => this.#received(event.data);
      socket.onclose = (event) => this.#closed(event);
      // A close event follows and says it all; some implementations throw when nobody listens.
      socket.onerror = () => {};
    }

    #opened() {
      const [opened] = this.#keeper;
      opened();
      this.#isOpen = true;
      this.#isMissed = false;
      clearTimeout(this.#pulse);
      this.#pulse = this.#options.heartbeat && setInterval(() => this.#beat(), this.#options.heartbeat);
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
      if (signal && !request.life) {
        request.life = new AbortController();
        signal.addEventListener('abort', () => this.#forget(request), request.life);
      }
      if (signal?.aborted) this.#forget(request);
      else if (this.#isOver) this.#answer(request, false, 'CLOSED');
      else if (this.#isOpen && this._socket.readyState === 1) {
        this.#log('>', request.frame);
        this._socket.send(request.frame);
        if (request.id) this.#waiting.set(request.id, request);
        else this.#answer(request, true, 'SENT');
      } else if (this.#queue.length < this.#options.queueLimit) this.#queue.push(request);
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
      if (code === 'COMMAND_ERROR' || (ok === false && id === undefined)) report('commanderror');
      if (request) settle(request, ok, code, body);
    }

    #closed({ code, reason, wasClean }) {
      const partner = this.pairedTo;
      const unanswered = [...this.#waiting.values()];
      this.#waiting.clear();
      clearInterval(this.#pulse);
      this.#isOpen = false;
      this.pairedTo = null;
      const [, , lost] = this.#keeper;
      const told = lost({ code, reason }, this.#url, !this.#isOver && this.#options.reconnect);
      this.#isOver = told.retryMs === undefined;
      if (this.#isOver) this.#abandon();
      this.#emit(this.#isOver ? 'close' : 'lost', { code, reason, wasClean, ...told });
      unanswered.forEach((request) => settle(request, false, 'CLOSED', null));
      const body = { with: partner };
      if (partner) this.#emit('unpair', { detail: body }, true, 'SUCCESS', body);
    }

    /** Nothing will be sent or answered any more. */
    #abandon() {
      const [, stop] = this.#keeper;
      stop();
      this.#life.abort();
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
      this.dispatchEvent(event);
      call(() => this['on' + type]?.(...(args.length ? args : [event])));
    }

    #log(direction, data) {
      if (this.debug) console.log('WebShare', direction, data);
    }
  }

  globalThis.WebShare = WebShare;
  if (typeof module === 'object') module.exports = { WebShare };
}

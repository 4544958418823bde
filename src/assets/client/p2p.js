/**
 * Devices that find each other over Socket.IO: the client side of socket.io-p2p-plugin, in all its generations.
 *
 * `p2pClientPlugin(socket, id)` adds the functions to a socket of socket.io-client 2, 3 or 4; `connectP2p(url, id)`
 * returns one that needs no library: it speaks Socket.IO 5 over a WebSocket (never by polling).
 *
 * One file, no dependencies: a classic script that sets the two globals; `require` returns them too, and `p2p.mjs`
 * exports them. Types are in `p2p.d.ts`.
 *
 * The latter's states, and how a program is told of them:
 *
 *     connecting ──▶ open ──▶ waiting ──▶ connecting ──▶ …      `connect`, then `disconnect` where it was open
 *         └────────────┴─────────┴──▶ closed                    and `connect_error` where it was not
 *
 * It waits a random time, and as long as the browser is offline; when it is online again, or the page is looked at
 * again, it tries at once. It is closed (until `connect()`) by `disconnect()`, by its `signal`, without `reconnect`, and by a server that
 * says so: 4000 to 4999, and 1008 unless the reason begins with `too slow` or `no answer`. After 1012 and 1013 it waits
 * at least `min`, after a reason with `retry_after_ms: N` at least that.
 *
 * Code written for the plugin runs unchanged. Beyond it: what calls back also returns a promise, failures are told
 * instead of thrown where nobody can catch them, unregistering works, and what a lost connection took along is
 * restored by the next one.
 */
'use strict';
{
  /** How long an answer may take, in ms, and how long a peer may take to accept a stream, as in the original. */
  const TIMEOUT_MS = 15000;
  const STREAM_TIMEOUT_MS = 10000;

  /** Events that may wait for a connection, and chunks that a peer may send without waiting for our acks. */
  const QUEUE_LIMIT = 100;
  const UNREAD_LIMIT = 64;

  /** Names that only the client itself says to its listeners. */
  const OWN_EVENTS = /^(connect(_error)?|disconnect|error)$/;

  const STREAM_DATA = 'P2P_EMIT_STREAM';
  const STREAM_DESTROYED = 'PEER_STREAM_DESTROYED';

  /** The reason of a `disconnect` that the user asked for. */
  const CLOSED_BY_US = 'io client disconnect';
  const NO_TARGET = 'emit2 must be called after targetClientId is set';

  const ignore = () => {};
  const problem = (message, code) => Object.assign(new Error(message), { code });
  const closed = () => problem('The stream is closed', 'CLOSED');

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
   * Calls `connect` again when it is time to. `opened` and `lost` are told what happens; `lost` says what follows,
   * without `retryMs` where nothing does.
   */
  const keeper = (connect) => {
    /** Since a connection lasted. */
    let attempt = 0;
    let openedAt;
    let stop = () => {};
    return {
      opened: () => (openedAt = Date.now()),
      stop: () => stop(),
      lost({ code, reason }, url, reconnect) {
        const { min = 500, max = 30000 } = Object(reconnect);
        const { location, document, navigator } = globalThis;
        const { hostname } = new URL(url);
        // Browsers may keep pages from addresses inside and do not say so; such are numbers and names without a dot.
        const isApart = location && hostname !== location.hostname && /^([\d.]+|\[.*|[^.]+)$|\.local$/.test(hostname);
        const hint = isApart && !openedAt ? `Blocked? Allow the local network, or load the page from ${hostname}` : '';
        // One that is cut at once does not start the backoff anew.
        if (Date.now() - openedAt > max) attempt = 0;
        openedAt = NaN;
        if (reconnect === false || code > 3999 || (code === 1008 && !/^(too slow|no answer)/.test(reason))) return { hint };
        const [, least = code === 1012 || code === 1013 ? min : 0] = /retry_after_ms\D+(\d+)/.exec(reason) ?? [];
        const retryMs = +least + Math.random() * Math.min(max, min * 2 ** attempt);
        const control = new AbortController();
        const go = () => {
          stop();
          connect();
        };
        const timer = setTimeout(() => navigator?.onLine !== false && go(), retryMs);
        globalThis.addEventListener?.('online', go, control);
        document?.addEventListener('visibilitychange', () => document.hidden || go(), control);
        stop = () => {
          clearTimeout(timer);
          control.abort();
        };
        return { attempt: attempt++, retryMs, hint };
      },
    };
  };

  /** Tells listeners, ours and the user's, on whatever kind of emitter; returns what they return. */
  const tell = (emitter, type, ...args) =>
    [...emitter.listeners(type)].map((listener) => call(() => listener.apply(emitter, args)));

  /** Answers where an answer is wanted. What a peer sent in place of an ack is not called. */
  const answer = (ack, ...args) => typeof ack === 'function' && ack(...args);

  /** Hands the outcome to callbacks. They came first: nobody has to look at the promise, and who does sees all. */
  const settle = (promise, ok, bad = ignore) => (promise.then(ok, bad), promise);

  /** By its tag, as it may come from another realm. */
  const isBinary = (value) =>
    ArrayBuffer.isView(value) || /(ArrayBuffer|Blob|File)]$/.test(Object.prototype.toString.call(value));

  const bytes = (chunk) => {
    if (typeof chunk === 'string') return new TextEncoder().encode(chunk);
    return Array.isArray(chunk) || (isBinary(chunk) && !ArrayBuffer.isView(chunk)) ? new Uint8Array(chunk) : chunk;
  };

  const mustBeFunction = (name, callback) => {
    if (typeof callback !== 'function') throw new Error(`${name} requires a Function as parameter`);
    return callback;
  };

  /** Hard to guess, as whoever knows it can write into the stream. Node 18 has no global `crypto`. */
  const streamId = () => String(globalThis.crypto?.getRandomValues(new Uint32Array(4)) ?? Math.random());

  /** Arguments in any order, by what they are: `string`, `array`, `function`, `object`. */
  const sorted = (args) => Object.fromEntries(args.map((arg) => [Array.isArray(arg) ? 'array' : typeof arg, arg]));

  class Emitter {
    #listeners = new Map();

    on(type, listener) {
      this.#listeners.set(type, [...this.listeners(type), listener]);
      return this;
    }

    once(type, listener) {
      const once = (...args) => this.off(type, once) && listener(...args);
      once.listener = listener;
      return this.on(type, once);
    }

    /** Without a listener: all of that type. */
    off(type, listener) {
      const isOther = (each) => listener && each !== listener && each.listener !== listener;
      this.#listeners.set(type, this.listeners(type).filter(isOther));
      return this;
    }

    listeners(type) {
      return this.#listeners.get(type) ?? [];
    }
  }

  /**
   * Bytes both ways between two devices, one chunk at a time: the peer's ack of a chunk asks for the next one.
   *
   * Events: `data` (a Uint8Array; the peer sends on when every handler is done, be it that a promise it returned is),
   * `end` (the peer sends no more), `error`, `close`.
   */
  class P2pStream extends Emitter {
    #send;
    #outgoing;
    /** Ends listening to the socket. */
    #leave;
    #written = Promise.resolve();
    #read = Promise.resolve();
    #cancelWrite = ignore;
    #unread = 0;
    #isHeard;
    /** Resolves when somebody listens to `data`; until then a chunk waits, and with it the peer. */
    #heard = new Promise((resolve) => (this.#isHeard = resolve));
    /** How many of the two directions have ended. */
    #ended = 0;
    destroyed = false;

    /** `send(event, argument, ack)` reaches the peer; `watched` are listeners on the socket for as long as it lives. */
    constructor(socket, send, [incoming, outgoing], watched) {
      super();
      this.#send = send;
      this.#outgoing = outgoing;
      const all = Object.entries({ ...watched, [incoming]: (chunk, ack) => this.#received(chunk, ack) });
      all.forEach(([type, listener]) => socket.on(type, listener));
      this.#leave = () => all.forEach(([type, listener]) => socket.off(type, listener));
    }

    /** Sends bytes or text (or what JSON can say) behind what was written before; resolves when the peer took it. */
    write(chunk) {
      const raw = bytes(chunk);
      const { buffer, byteOffset, byteLength } = ArrayBuffer.isView(raw) ? raw : {};
      // Every version of the library sends an ArrayBuffer as binary, but not every view of one.
      return this.#push(buffer ? buffer.slice(byteOffset, byteOffset + byteLength) : raw);
    }

    /** Says that nothing more comes, after `chunk` if there is one; resolves when the peer knows. */
    end(chunk) {
      if (chunk !== undefined) this.write(chunk);
      return settle(this.#push(null), () => this.#end());
    }

    /** Ends both directions at once, and the peer's; with an error also as the event. */
    destroy(error) {
      if (!this.destroyed && this.sourceStreamId) this.#send(STREAM_DESTROYED, this.sourceStreamId);
      return this.close(error);
    }

    /** Ends this side only: the peer has gone, or knows. */
    close(error) {
      if (this.destroyed) return this;
      this.destroyed = true;
      this.#leave();
      this.#cancelWrite(error ?? closed());
      if (error) tell(this, 'error', error);
      tell(this, 'close');
      return this;
    }

    on(type, listener) {
      if (type === 'data') this.#isHeard();
      return super.on(type, listener);
    }

    #push(chunk) {
      const send = (resolve, reject) => {
        if (this.destroyed) throw closed();
        this.#cancelWrite = reject;
        this.#send(this.#outgoing, chunk, () => resolve());
      };
      return settle((this.#written = this.#written.then(() => new Promise(send))));
    }

    #received(chunk, ack) {
      this.#unread += 1;
      if (this.#unread > UNREAD_LIMIT) this.destroy(problem('The peer does not wait for acks', 'FLOOD'));
      const read = async () => {
        if (this.destroyed) return;
        if (chunk === null) tell(this, 'end');
        else {
          await this.#heard;
          await Promise.all(tell(this, 'data', bytes(chunk)));
        }
        this.#unread -= 1;
        answer(ack);
        if (chunk === null) this.#end();
      };
      this.#read = this.#read.then(read).catch((error) => this.destroy(error));
    }

    #end() {
      this.#ended += 1;
      if (this.#ended > 1) this.close();
    }
  }

  /** Emits on this socket what wants an answer. All of it fails when the connection is lost. */
  const questions = (socket, timeout) => {
    const unanswered = new Set();
    socket.on('disconnect', (reason) => unanswered.forEach((fail) => fail(problem(`Disconnected: ${reason}`, 'LOST'))));

    /** Resolves to the first argument of the ack. `late(answer)` hears one that nobody waits for any more. */
    return (args, { timeout: ms = timeout, signal, late = ignore } = {}) =>
      new Promise((resolve, reject) => {
        signal?.throwIfAborted();
        const finish = (how, value) => {
          clearTimeout(timer);
          unanswered.delete(fail);
          signal?.removeEventListener('abort', abort);
          how(value);
        };
        const fail = (error) => finish(reject, error);
        const abort = () => fail(signal.reason);
        const timer = ms && setTimeout(() => fail(problem(`No answer to ${args[0]} within ${ms} ms`, 'TIMEOUT')), ms);
        unanswered.add(fail);
        signal?.addEventListener('abort', abort);
        socket.emit(...args, (value) => (unanswered.has(fail) ? finish(resolve, value) : late(value)));
      });
  };

  /** Messages to any device by its id. The first generation says everything in one object. */
  const messages = (socket, ask, isDevice) => {
    const packet = (to, event, args, hasAck) =>
      isDevice
        ? [hasAck ? 'P2P_EMIT_ACKNOWLEDGE' : 'P2P_EMIT', { targetDeviceId: to, event, args }]
        : ['P2P_EMIT', to, event, args, ...(hasAck ? [] : [null])];

    return {
      emitTo(to, event, ...args) {
        const ack = typeof args.at(-1) === 'function' ? [args.pop()] : [];
        socket.emit(...packet(to, event, args, ack.length), ...ack);
        return socket;
      },
      callTo: (to, event, ...args) => ask(packet(to, event, args, true)),
    };
  };

  /** One partner at a time: register, unregister, and messages to the partner. */
  const pairing = (socket, ask, { emitTo, callTo }, { id, kind, accept, restore }) => {
    /** The device we are paired with; or were when the connection was lost, as long as it may come back. */
    let target, lost;
    /** The one that we have asked, and the outcome. */
    let asked;
    const partner = () => target ?? lost;
    const part = (ack) => {
      target = lost = undefined;
      answer(ack);
    };
    const adopt = (to) => {
      if (target !== to) tell(socket, 'P2P_REGISTER_SUCCESS', (target = to));
      lost = undefined;
    };

    const request = async (to, options) => {
      try {
        const current = target ?? asked?.to;
        if (to === id) throw problem(`Target ${kind} ID can not be the same as source ${kind} ID`, 'SELF');
        if (current !== undefined) throw problem(`Current target: ${current}, leave it before registering`, 'BUSY');
        // Too late to be paired: the partner must not go on believing it.
        const late = (isPaired) => isPaired && (target ?? asked) === undefined && socket.emit('P2P_UNREGISTER');
        asked = { to };
        const isPaired = await ask(['P2P_REGISTER', to], { ...options, late }).finally(() => (asked = undefined));
        // If both have asked each other, one of them may hear that the other is taken.
        if (!isPaired && target !== to) throw problem(`Target ${kind} is not available for connection`, 'UNAVAILABLE');
        adopt(to);
        return true;
      } catch (error) {
        tell(socket, 'P2P_REGISTER_FAILED', error, to);
        throw error;
      }
    };

    /** What is asked already, or is so already, is not asked again. */
    const register = async (to, options) => {
      if (to === target) return true;
      if (to === asked?.to) return asked.done;
      const done = request(to, options);
      if (asked) asked.done = done;
      return done;
    };

    const unregister = async () => {
      const isPaired = target !== undefined && socket.connected;
      part();
      if (isPaired) await ask(['P2P_UNREGISTER']);
    };
    socket.on('P2P_REGISTER', (source, ack) => {
      const other = partner() ?? asked?.to;
      const isFree = (other === undefined || other === source) && call(() => accept(source)) !== false;
      if (typeof ack === 'function') ack(isFree);
      else socket.emit(isFree ? 'P2P_REGISTER_SUCCESS' : 'P2P_REGISTER_FAILED');
      if (isFree) adopt(source);
    });
    socket.on('P2P_DISCONNECT', part);
    socket.on('P2P_UNREGISTER', part);
    socket.on('disconnect', (reason) => {
      if (restore && reason !== CLOSED_BY_US) {
        lost = partner();
        target = undefined;
      } else if (partner() !== undefined) tell(socket, 'P2P_DISCONNECT');
    });
    // Whoever comes back asks, so that after a restart of the server the second of a pair finds the first.
    socket.on('connect', () => {
      const end = ({ code }) => lost !== undefined && code !== 'LOST' && tell(socket, 'P2P_DISCONNECT');
      if (lost !== undefined) register(lost).catch(end);
    });
    Object.defineProperties(socket, { targetClientId: { get: partner }, targetDeviceId: { get: partner } });

    const emit2 = (...args) => {
      if (partner() === undefined) tell(socket, 'SERVER_ERROR', NO_TARGET);
      else emitTo(partner(), ...args);
      return socket;
    };
    return {
      emit2,
      emitP2p: emit2,
      registerP2pTarget: (to, options, ok, bad) => settle(register(to, options), ok && (() => ok()), bad),
      unregisterP2pTarget: (callback) => settle(unregister(), callback && (() => callback())),
      async call2(...args) {
        if (partner() === undefined) throw problem(NO_TARGET, 'NOT_PAIRED');
        return callTo(partner(), ...args);
      },
    };
  };

  /** Lists, rooms and targets. `kept` is what the server has to be told again on a new connection. */
  const membership = (socket, ask, kept) => {
    const keep = async (args, again) => {
      const refusal = await ask(args);
      if (!refusal) kept.set(String(args), again);
      return refusal;
    };
    const join = (room) => keep(['JOIN_ROOM', room], () => join(room).catch(ignore));
    const add = async (who) => {
      if (await keep(['ADD_TARGET', who], () => add(who).catch(() => tell(socket, 'TARGET_DISCONNECT', who))))
        throw problem(`Target client ${who} is not connected to server`, 'UNAVAILABLE');
    };
    socket.on('TARGET_DISCONNECT', (who) => kept.delete('ADD_TARGET,' + who));

    return {
      getClientList: (callback) => settle(ask(['LIST_CLIENTS']), callback),
      isClientConnected: (who, callback) => settle(ask(['GET_CLIENT_CONNECTED_STATUS', who]).then(Boolean), callback),

      joinRoom: (room, callback) => settle(join(room), callback),
      leaveRoom(room, callback) {
        kept.delete('JOIN_ROOM,' + room);
        return settle(ask(['LEAVE_ROOM', room]), callback);
      },
      emitRoom: (room, event, ...args) => socket.emit('EMIT_ROOM', room, event, ...args),

      addP2pTarget: (who, callback) => settle(add(who), callback && (() => callback()), callback),
      onAddP2pTarget(callback) {
        mustBeFunction('onAddP2pTarget', callback);
        socket.on('ADD_TARGET', (who, ack) => {
          answer(ack);
          callback(who);
        });
      },
      onP2pTargetDisconnect: (callback) =>
        void socket.on('TARGET_DISCONNECT', mustBeFunction('onP2pTargetDisconnect', callback)),
    };
  };

  /** Streams to any device, and (`register…`) the one stream of a pair. */
  const streams = (socket, ask, { emitTo }, { emit2 }) => {
    let onRegistered;
    const offered = (channel) => 'CREATE_STREAM' + (channel ? '-CHANNEL-' + channel : '');

    const open = (info, own) => {
      const { sourceStreamId, targetStreamId, targetClientId: peer } = info;
      const names = [targetStreamId, sourceStreamId].map((name) => `${STREAM_DATA}-from-stream-${name}`);
      const stream = new P2pStream(socket, (...args) => emitTo(peer, ...args), names, {
        disconnect: own.onDisconnect ?? (() => stream.close()),
        TARGET_DISCONNECT: own.onTargetDisconnect ?? ((who) => who === peer && stream.close()),
        [STREAM_DESTROYED]: own.onTargetStreamDestroyed ?? ((name) => name === targetStreamId && stream.close()),
      });
      return Object.assign(stream, info);
    };
    const openRegistered = () => {
      const close = () => stream.close();
      const watched = { disconnect: close, P2P_DISCONNECT: close, P2P_UNREGISTER: close };
      const stream = new P2pStream(socket, emit2, [STREAM_DATA, STREAM_DATA], watched);
      return Object.assign(stream, { targetClientId: socket.targetClientId });
    };

    socket.on('P2P_REGISTER_STREAM', (ack) => {
      if (onRegistered) onRegistered(openRegistered());
      answer(ack, !!onRegistered);
    });

    return {
      addP2pStream(to, ...rest) {
        const { string: channel, array: argArray, function: callback, object } = sorted(rest);
        const own = object ?? {};
        const { sourceStreamId = streamId(), targetStreamId = streamId() } = own;
        const info = { sourceStreamId, targetStreamId, targetClientId: to };
        const offer = { ...info, ...(channel && { channel }), ...(argArray && { argArray }) };
        const added = ask(['CREATE_STREAM', offer], {
          timeout: own.initStreamTimeout ?? STREAM_TIMEOUT_MS,
          signal: own.signal,
          late: (refusal) => refusal || emitTo(to, STREAM_DESTROYED, sourceStreamId),
        }).then((refusal) => {
          if (refusal) throw problem(String(refusal), 'UNAVAILABLE');
          return open(info, own);
        });
        return settle(added, callback, callback);
      },
      onAddP2pStream(...args) {
        const { string: channel, function: callback = ignore, object } = sorted(args);
        socket.off(offered(channel));
        socket.on(offered(channel), (offer, ack) => {
          const { sourceStreamId, targetStreamId, sourceClientId, argArray } = Object(offer);
          const here = { sourceStreamId: targetStreamId, targetStreamId: sourceStreamId };
          const stream = open({ ...here, targetClientId: sourceClientId }, object ?? {});
          callback(stream, ...(argArray ? [argArray] : []));
          answer(ack);
        });
      },
      offAddP2pStream: (channel) => void socket.off(offered(channel)),

      registerP2pStream(...args) {
        const [ok, bad] = args.filter((arg) => typeof arg === 'function');
        const asked = ask(['P2P_REGISTER_STREAM', socket.targetClientId]);
        const opened = asked.then((isAccepted) => (isAccepted ? openRegistered() : null));
        return settle(opened, ok && ((stream) => (stream ? ok(stream) : bad?.())), bad);
      },
      onRegisterP2pStream: (...args) => void (onRegistered = sorted(args).function ?? ignore),
      offRegisterP2pStream: () => void (onRegistered = undefined),
    };
  };

  /** Functions that one device provides to all. */
  const services = (socket, ask, kept) => {
    const handlers = new Map();
    const exists = (name) => ask(['CHECK_API_NAME', name]);
    const stop = (name) => {
      kept.delete('CREATE_API,' + name);
      socket.off(name, handlers.get(name));
      handlers.delete(name);
    };
    /** Whether it went well; if not, `onError` is told why. */
    const attempt = (run, onError = (text) => tell(socket, 'SERVER_ERROR', text)) =>
      run().then(() => true, ({ message }) => (call(() => onError(message)), false));

    return {
      provideService(name, handler, onError) {
        const create = () => socket.emit('CREATE_API', name);
        return attempt(async () => {
          if (await exists(name)) throw problem(`Duplicated API name: ${name}`);
          create();
          kept.set('CREATE_API,' + name, create);
          handlers.set(name, handler);
          socket.on(name, handler);
          // It has no ack; once this is answered, it is there.
          await exists(name).catch(ignore);
        }, onError);
      },
      destroyService(name) {
        socket.emit('DESTROY_API', name);
        stop(name);
      },
      destroyAllServices() {
        socket.emit('DESTROY_API');
        [...handlers.keys()].forEach(stop);
      },
      emitService: (name, ...args) =>
        attempt(async () => {
          if (!(await exists(name))) throw problem(`API is not registered: ${name}`);
          socket.emit('USE_API', name, ...args);
        }),
    };
  };

  /**
   * Adds the functions of socket.io-p2p-plugin to a socket and returns it.
   *
   * @param {object} socket of socket.io-client 2, 3 or 4, opened with `?clientId=` or `?deviceId=`
   * @param {string} [id] this device's id; by default the query's
   * @param {object} [options] `timeout` (15000: how long an answer may take in ms; 0: for ever), `accept(id)` (whether
   *   that device may pair with this one), `restore` (true: pair, targets, rooms and services outlive a connection)
   */
  function p2pClientPlugin(socket, id, options) {
    if (socket.registerP2pTarget) return socket;
    const { timeout = TIMEOUT_MS, accept = ignore, restore = true } = options ?? {};
    const query = new URLSearchParams(socket.io?.opts?.query);
    const isDevice = query.has('deviceId') && !query.has('clientId');
    const kind = isDevice ? 'device' : 'client';
    id ??= query.get(kind + 'Id');
    const kept = new Map();

    socket.on('SERVER_ERROR', (text) => {
      if (socket.listeners('SERVER_ERROR').length < 2) console.error(`Device '${id}': ${text}`);
    });
    socket.on('SERVER_PING', (ack) => answer(ack, 'pong from client ' + id));
    socket.on('connect', () => kept.forEach((again) => again()));
    socket.on('disconnect', (reason) => {
      if (!restore || reason === CLOSED_BY_US) kept.clear();
    });

    const ask = questions(socket, timeout);
    const to = messages(socket, ask, isDevice);
    const pair = pairing(socket, ask, to, { id, kind, accept, restore });
    const rest = [membership(socket, ask, kept), streams(socket, ask, to, pair), services(socket, ask, kept)];
    return Object.assign(socket, { clientId: id, deviceId: id }, to, pair, ...rest);
  }

  /** A socket of Socket.IO 5 over Engine.IO 4, with the part of socket.io-client's interface that programs use. */
  class Line extends Emitter {
    #options;
    #socket;
    /** Arguments of `emit` that no connection has seen, oldest first; length <= queueLimit. */
    #queue = [];
    /** Acks to come, by the id that we gave them. */
    #acks = new Map();
    #lastAck = 0;
    /** A packet whose attachments are still to come. */
    #partial;
    /** How long the server may be silent, in ms. */
    #patience;
    #silence;
    #keeper = keeper(() => this.connect());
    connected = false;
    /** Whether it tries again by itself. */
    active = true;
    id;
    close = () => this.disconnect();

    constructor(url, options) {
      super();
      this.#options = { path: '/socket.io/', queueLimit: QUEUE_LIMIT, WebSocket: globalThis.WebSocket, ...options };
      if (!this.#options.WebSocket) throw new Error('There is no WebSocket here: give one as the option WebSocket');
      url.protocol = url.protocol.replace('http', 'ws');
      url.pathname = this.#options.path;
      url.hash = '';
      this.io = { opts: { query: new URLSearchParams(url.search) } };
      url.searchParams.set('EIO', 4);
      url.searchParams.set('transport', 'websocket');
      this.#options.url = url.href;
      this.connect();
      const { signal } = this.#options;
      signal?.addEventListener('abort', this.close);
      if (signal?.aborted) this.close();
    }

    /** Bytes handed to the WebSocket that the network has not taken yet. */
    get bufferedAmount() {
      return this.#socket?.bufferedAmount ?? 0;
    }

    /** Connects again after `disconnect`; happens by itself at first and after a loss. */
    connect() {
      this.#keeper.stop();
      if (this.#socket) return this;
      const socket = (this.#socket = new this.#options.WebSocket(this.#options.url));
      socket.binaryType = 'arraybuffer';
      // One that was given up may still speak.
      socket.onmessage = ({ data }) => socket === this.#socket && this.#received(data);
      socket.onclose = (event) => socket === this.#socket && this.#closed('transport close', event);
      // A close event follows and says it all; some implementations throw when nobody listens.
      socket.onerror = ignore;
      this.#patience = TIMEOUT_MS;
      this.#heard();
      return this;
    }

    /** Ends the connection, and no other follows until `connect`. */
    disconnect() {
      this.#keeper.stop();
      if (this.connected) this.#socket.send('41');
      if (this.#socket) this.#closed(CLOSED_BY_US, undefined, false);
      return this;
    }

    /** Sends an event; a function as the last argument is called with the answer. Waits for a connection. */
    emit(...args) {
      if (this.connected && this.#socket.readyState === 1) {
        const ack = typeof args.at(-1) === 'function' ? args.pop() : undefined;
        if (ack) this.#acks.set(++this.#lastAck, ack);
        this.#send(2, ack ? this.#lastAck : '', args);
      } else if (this.#queue.length < this.#options.queueLimit) this.#queue.push(args);
      else tell(this, 'error', Object.assign(problem(`Too much waits: ${args[0]} is dropped`, 'QUEUE_FULL'), { args }));
      return this;
    }

    /** An event (2) or ack (3); with attachments its type is greater by three, and they follow. */
    #send(type, id, args) {
      const attachments = [];
      const text = JSON.stringify(args, function (key, value) {
        // `value` may be what `toJSON` made of it.
        const raw = this[key];
        return isBinary(raw) ? { _placeholder: true, num: attachments.push(raw) - 1 } : value;
      });
      const count = attachments.length;
      this.#socket.send('4' + (count ? `${type + 3}${count}-` : type) + id + text);
      attachments.forEach((each) => this.#socket.send(each));
    }

    #heard() {
      clearTimeout(this.#silence);
      this.#silence = setTimeout(() => this.#closed('ping timeout'), this.#patience);
    }

    #received(data) {
      this.#heard();
      try {
        const type = typeof data === 'string' ? data[0] : 'attachment';
        if (type === '0') {
          const { pingInterval, pingTimeout } = JSON.parse(data.slice(1));
          this.#patience = pingInterval + pingTimeout;
          this.#socket.send('40' + (JSON.stringify(this.#options.auth) ?? ''));
        } else if (type === '1') this.#closed('transport close');
        else if (type === '2') {
          this.#socket.send('3' + data.slice(1));
        } else if (type === '4') {
          if (this.#partial) throw problem('An attachment is missing');
          const [, kind, count = 0, id, body] = /^4(\d)(?:(\d+)-)?(?:\/[^,]*,)?(\d*)(.*)$/s.exec(data);
          this.#partial = { kind, count, id, body, attachments: [] };
        } else if (type === 'attachment') this.#partial.attachments.push(data);
        if (this.#partial?.attachments.length >= this.#partial?.count) this.#complete(this.#partial);
      } catch {
        // Not a server of this protocol.
        this.#closed('parse error');
      }
    }

    #complete({ kind, count, id, body, attachments }) {
      this.#partial = undefined;
      const fill = (_, value) => (value?._placeholder === true ? attachments[value.num] : value);
      const content = kind === '1' || JSON.parse(body, count ? fill : undefined);
      if (kind === '0') {
        this.id = content.sid;
        this.connected = true;
        this.#keeper.opened();
        // First what brings back pairs and rooms, then what is meant for them.
        tell(this, 'connect');
        const queue = this.#queue;
        this.#queue = [];
        queue.forEach((args) => call(() => this.emit(...args)));
      } else if (kind === '1') this.#closed('io server disconnect', undefined, false);
      else if (kind === '4') this.#closed('', Object.assign(problem(content.message), { data: content.data }), false);
      else if (kind % 3 === 0) {
        const ack = this.#acks.get(+id);
        this.#acks.delete(+id);
        if (ack) call(() => ack(...content));
      } else {
        let waiting = this.#socket;
        const ack = (...args) => {
          // Once, and to the connection that asked.
          if (waiting && waiting === this.#socket) this.#send(3, id, args);
          waiting = undefined;
        };
        if (!OWN_EVENTS.test(content[0])) tell(this, ...content, ...(id ? [ack] : []));
      }
    }

    /** It is over with this WebSocket. */
    #closed(reason, detail, mayRetry = true) {
      const wasConnected = this.connected;
      const socket = this.#socket;
      clearTimeout(this.#silence);
      this.#socket = this.#partial = this.id = undefined;
      this.connected = false;
      this.#acks.clear();
      socket.close();
      const told = this.#keeper.lost(Object(detail), this.#options.url, mayRetry && this.#options.reconnect);
      this.active = told.retryMs !== undefined;
      if (wasConnected) tell(this, 'disconnect', reason, detail);
      else if (reason !== CLOSED_BY_US) tell(this, 'connect_error', Object.assign(reason ? problem(reason) : detail, told));
    }
  }

  /**
   * Connects a device without socket.io-client.
   *
   * @param {string} url of the server (`http`, `https`, `ws` or `wss`), relative to the page
   * @param {string} id of this device
   * @param {object} [options] those of `p2pClientPlugin`, and `path` (`/socket.io/`), `auth`, `reconnect` (`false`, or
   *   `{min, max}` in ms), `queueLimit` (100), `signal` (an AbortSignal that disconnects it), `WebSocket` (a constructor,
   *   where there is no global one)
   */
  function connectP2p(url, id, options = {}) {
    const address = new URL(url, globalThis.location?.href);
    if (!address.searchParams.has('deviceId')) address.searchParams.set('clientId', id);
    return p2pClientPlugin(new Line(address, options), id, options);
  }

  Object.assign(globalThis, { p2pClientPlugin, connectP2p });
  // The first generation's module is the function, later ones have it as a member.
  if (typeof module === 'object') module.exports = Object.assign(p2pClientPlugin, { p2pClientPlugin, connectP2p });
}

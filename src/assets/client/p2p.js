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
 * again, it tries at once. It is closed (until `connect()`) by `disconnect()`, by its `signal`, without `reconnect`,
 * and by a server that says so: 1008 and 4000 to 4999. After 1012 and 1013 it waits at least `min`, after a reason
 * with `retry_after_ms: N` at least that.
 *
 * Code written for the plugin runs unchanged. Beyond it: what calls back also returns a promise, failures are told
 * instead of thrown where nobody can catch them, unregistering works, and what a lost connection took along is
 * restored by the next one.
 */
'use strict';
(() => {
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

  const newEmitter = () => {
    const all = new Map();
    return {
      listeners: (type) => all.get(type) ?? [],
      on(type, listener) {
        all.set(type, [...this.listeners(type), listener]);
        return this;
      },
      once(type, listener) {
        const once = (...args) => this.off(type, once) && listener(...args);
        once.listener = listener;
        return this.on(type, once);
      },
      /** Without a listener: all of that type. */
      off(type, listener) {
        const isOther = (each) => listener && each !== listener && each.listener !== listener;
        all.set(type, this.listeners(type).filter(isOther));
        return this;
      },
    };
  };

  /**
   * Bytes both ways between two devices, one chunk at a time: the peer's ack of a chunk asks for the next one.
   *
   * Events: `data` (a Uint8Array; the peer sends on when every handler is done, be it that a promise it returned is),
   * `end` (the peer sends no more), `error`, `close`. `send(event, argument, ack)` reaches the peer; `watched` are
   * listeners on the socket for as long as the stream lives.
   */
  const newStream = (socket, send, [incoming, outgoing], watched, info) => {
    let [written, read] = [Promise.resolve(), Promise.resolve()];
    let [cancelWrite, unread, isHeard] = [ignore, 0];
    /** Resolves when somebody listens to `data`; until then a chunk waits, and with it the peer. */
    const heard = new Promise((resolve) => (isHeard = resolve));
    /** How many of the two directions have ended. */
    let ended = 0;
    const endOne = () => ended++ && stream.close();
    const push = (chunk) => {
      const begin = (resolve, reject) => {
        if (stream.destroyed) throw closed();
        cancelWrite = reject;
        send(outgoing, chunk, () => resolve());
      };
      return settle((written = written.then(() => new Promise(begin))));
    };
    const receive = (chunk, ack) => {
      unread += 1;
      if (unread > UNREAD_LIMIT) stream.destroy(problem('The peer does not wait for acks', 'FLOOD'));
      const take = async () => {
        if (stream.destroyed) return;
        if (chunk === null) tell(stream, 'end');
        else {
          await heard;
          await Promise.all(tell(stream, 'data', bytes(chunk)));
        }
        unread -= 1;
        answer(ack);
        if (chunk === null) endOne();
      };
      read = read.then(take).catch(stream.destroy);
    };
    const listeners = Object.entries({ ...watched, [incoming]: receive });
    listeners.forEach(([type, listener]) => socket.on(type, listener));

    const emitter = newEmitter();
    const stream = {
      ...emitter,
      ...info,
      destroyed: false,
      /** Sends bytes or text (or what JSON can say) behind what was written before; resolves when the peer took it. */
      write(chunk) {
        const raw = bytes(chunk);
        const { buffer, byteOffset, byteLength } = ArrayBuffer.isView(raw) ? raw : {};
        // Every version of the library sends an ArrayBuffer as binary, but not every view of one.
        return push(buffer ? buffer.slice(byteOffset, byteOffset + byteLength) : raw);
      },
      /** Says that nothing more comes, after `chunk` if there is one; resolves when the peer knows. */
      end(chunk) {
        if (chunk !== undefined) stream.write(chunk);
        return settle(push(null), endOne);
      },
      /** Ends both directions at once, and the peer's; with an error also as the event. */
      destroy(error) {
        if (!stream.destroyed && stream.sourceStreamId) send(STREAM_DESTROYED, stream.sourceStreamId);
        return stream.close(error);
      },
      /** Ends this side only: the peer has gone, or knows. */
      close(error) {
        if (stream.destroyed) return stream;
        stream.destroyed = true;
        listeners.forEach(([type, listener]) => socket.off(type, listener));
        cancelWrite(error ?? closed());
        if (error) tell(stream, 'error', error);
        tell(stream, 'close');
        return stream;
      },
      on(type, listener) {
        if (type === 'data') isHeard();
        return emitter.on.call(stream, type, listener);
      },
    };
    return stream;
  };

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
      const watched = {
        disconnect: own.onDisconnect ?? (() => stream.close()),
        TARGET_DISCONNECT: own.onTargetDisconnect ?? ((who) => who === peer && stream.close()),
        [STREAM_DESTROYED]: own.onTargetStreamDestroyed ?? ((name) => name === targetStreamId && stream.close()),
      };
      const stream = newStream(socket, (...args) => emitTo(peer, ...args), names, watched, info);
      return stream;
    };
    const openRegistered = () => {
      const close = () => stream.close();
      const watched = { disconnect: close, P2P_DISCONNECT: close, P2P_UNREGISTER: close };
      const { targetClientId } = socket;
      const stream = newStream(socket, emit2, [STREAM_DATA, STREAM_DATA], watched, { targetClientId });
      return stream;
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
        const offer = { ...info, channel, argArray };
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
          callback(stream, argArray);
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
  const newLine = (url, given) => {
    const { path = '/socket.io/', queueLimit = QUEUE_LIMIT, WebSocket = globalThis.WebSocket } = given;
    const { auth, reconnect, signal } = given;
    if (!WebSocket) throw new Error('No WebSocket: give one as the option WebSocket');
    url.protocol = url.protocol.replace('http', 'ws');
    url.pathname = path;
    url.hash = '';
    const query = new URLSearchParams(url.search);
    let socket, patience, silence;
    /** Arguments of `emit` that no connection has seen, oldest first; length <= queueLimit. */
    const queue = [];
    /** Acks to come, by the id that we gave them. */
    const acks = new Map();
    let lastAck = 0;
    /** A packet whose attachments are still to come: type, their count, id, JSON, and those that came. */
    let partial;
    /** An event (2) or ack (3); with attachments its type is greater by three, and they follow. */
    const send = (type, id, args) => {
      const attachments = [];
      const text = JSON.stringify(args, function (key, value) {
        // `value` may be what `toJSON` made of it.
        const raw = this[key];
        return isBinary(raw) ? { _placeholder: true, num: attachments.push(raw) - 1 } : value;
      });
      const count = attachments.length;
      socket.send('4' + (count ? `${type + 3}${count}-` : type) + id + text);
      attachments.forEach((each) => socket.send(each));
    };
    const hear = () => {
      clearTimeout(silence);
      silence = setTimeout(over, patience, 'ping timeout');
    };
    const receive = (data) => {
      hear();
      try {
        // None: an attachment.
        const type = data[0];
        if (type === '0') {
          const { pingInterval, pingTimeout } = JSON.parse(data.slice(1));
          patience = pingInterval + pingTimeout;
          socket.send('40' + (JSON.stringify(auth) ?? ''));
        } else if (type === '1') over('transport close');
        else if (type === '2') socket.send('3' + data.slice(1));
        else if (type === '4') {
          // An attachment is missing.
          if (partial) throw data;
          partial = /^4(\d)(?:(\d+)-)?(?:\/[^,]*,)?(\d*)(.*)$/s.exec(data).slice(1);
        } else if (!type && data !== '') partial.push(data);
        if (partial?.length > 3 + ~~partial?.[1]) complete(...partial);
      } catch {
        // Not a server of this protocol.
        over('parse error');
      }
    };
    const complete = (kind, count, id, body, ...attachments) => {
      partial = undefined;
      const fill = (_, value) => (value?._placeholder === true ? attachments[value.num] : value);
      const content = kind === '1' || JSON.parse(body, count && fill);
      if (kind === '0') {
        line.id = content.sid;
        line.connected = true;
        opened();
        // First what brings back pairs and rooms, then what is meant for them.
        tell(line, 'connect');
        queue.splice(0).forEach((args) => call(line.emit, ...args));
      } else if (kind === '1') over('io server disconnect', undefined, false);
      else if (kind === '4') over('', Object.assign(problem(content.message), { data: content.data }), false);
      else if (kind % 3 === 0) {
        const ack = acks.get(+id);
        acks.delete(+id);
        call(ack, ...content);
      } else {
        let waiting = socket;
        const ack = (...args) => {
          // Once, and to the connection that asked.
          if (waiting && waiting === socket) send(3, id, args);
          waiting = undefined;
        };
        if (!OWN_EVENTS.test(content[0])) tell(line, ...content, ...(id ? [ack] : []));
      }
    };
    /** It is over with this WebSocket. */
    const over = (reason, detail, mayRetry = reconnect) => {
      const { connected } = line;
      const former = socket;
      clearTimeout(silence);
      socket = partial = line.id = undefined;
      line.connected = false;
      acks.clear();
      former.close();
      const told = lost(Object(detail), url, mayRetry);
      line.active = told.retryMs !== undefined;
      if (connected) tell(line, 'disconnect', reason, detail);
      else if (reason !== CLOSED_BY_US) tell(line, 'connect_error', Object.assign(reason ? problem(reason) : detail, told));
    };

    const line = newEmitter();
    Object.defineProperty(line, 'bufferedAmount', { get: () => socket?.bufferedAmount ?? 0 });
    Object.assign(line, {
      io: { opts: { query } },
      connected: false,
      /** Connects again after `disconnect`; happens by itself at first and after a loss. */
      connect() {
        stop();
        signal?.addEventListener('abort', line.close);
        if (socket) return line;
        /** Whether it goes on by itself. */
        line.active = true;
        const made = (socket = new WebSocket(url.href + '&EIO=4&transport=websocket'));
        made.binaryType = 'arraybuffer';
        // One that was given up may still speak.
        made.onmessage = ({ data }) => socket === made && receive(data);
        made.onclose = (event) => socket === made && over('transport close', event);
        // A close event follows and says it all; some implementations throw when nobody listens.
        made.onerror = ignore;
        // How long the server may be silent, in ms.
        patience = TIMEOUT_MS;
        hear();
        return line;
      },
      /** Ends the connection, and no other follows until `connect`. */
      disconnect() {
        stop();
        signal?.removeEventListener('abort', line.close);
        line.active = false;
        if (line.connected) socket.send('41');
        if (socket) over(CLOSED_BY_US, undefined, false);
        return line;
      },
      /** Sends an event; a function as the last argument is called with the answer. Waits for a connection. */
      emit(...args) {
        if (line.connected && socket.readyState === 1) {
          const ack = typeof args.at(-1) === 'function' ? args.pop() : undefined;
          if (ack) acks.set(++lastAck, ack);
          send(2, ack ? lastAck : '', args);
        } else if (queue.length < queueLimit) queue.push(args);
        else tell(line, 'error', Object.assign(problem(`Dropped: ${args[0]}`, 'QUEUE_FULL'), { args }));
        return line;
      },
    });
    line.close = line.disconnect;
    const [opened, stop, lost] = keeper(line.connect);
    line.connect();
    if (signal?.aborted) line.close();
    return line;
  };

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
    return p2pClientPlugin(newLine(address, options), id, options);
  }

  Object.assign(globalThis, { p2pClientPlugin, connectP2p });
  // The first generation's module is the function, later ones have it as a member.
  if (typeof module === 'object') module.exports = Object.assign(p2pClientPlugin, { p2pClientPlugin, connectP2p });
})();

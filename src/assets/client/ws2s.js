/**
 * WS2S: TCP sockets for a page, and a redis client over one, by way of a ws2s server.
 *
 * One file, no dependencies. Loaded as a classic script or as an ES module it sets the global `WS2S`; `require` returns
 * `{ WS2S }`. A file with `export` would not be a classic script, so `import { WS2S }` is for `ws2s.mjs`, which loads
 * this file and exports what it set. Types are in `ws2s.d.ts`.
 *
 * Code written for ws2s.js 2.1.4 runs unchanged. Beyond it: calls before the connection is open wait for it, every call
 * returns a promise, large data are sent in parts, and `for await (const bytes of socket)` reads with backpressure:
 * where the platform can stop reading (WebSocketStream in a browser, `pause` of the package `ws`), a slow reader stops
 * the server, which stops the peer. A plain WebSocket cannot stop, so there the buffer only has a bound (`maxBuffer`),
 * above which the socket is closed with an error that says so.
 *
 * A socket is never made again, as what was in its TCP connection is lost; a redis client is:
 *
 *     connecting ──▶ open ──▶ waiting ──▶ connecting ──▶ …      `onReady`, later `onReconnected`
 *         └────────────┴─────────┴──▶ closed
 *
 * It waits a random time, and as long as the browser is offline; when it is online again, or the page is looked at
 * again, it tries at once. It is closed for good by `close()`, without `reconnect`, after nine attempts, and by a
 * server that says so: 1008 and 4000 to 4999. After 1012 and 1013 it waits at least `min`, after a reason with
 * `retry_after_ms: N` at least that.
 */
'use strict';
(() => {
  /** Silence that nobody on the way should take for the end. */
  const PING_MS = 50000;

  /** How long a server may take to answer. */
  const CONNECT_MS = 10000;

  /** Received bytes that wait for a reader: above HIGH reading stops, below LOW it goes on. */
  const HIGH = 3e5;
  const LOW = 6e4;

  /** Received bytes that may wait for a reader. */
  const MAX_BUFFER = 16777216;

  /** Calls that may wait for a connection. */
  const QUEUE_LIMIT = 100;

  /** Attempts of the redis client without a lasting connection between them. */
  const RETRY_LIMIT = 9;

  /** Bytes of a line, and of a string, that no redis server sends. */
  const LINE_LIMIT = 6e4;
  const STRING_LIMIT = 1e9;

  const encoder = new TextEncoder();
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

  /** Parameters of `connect`, in their order. */
  const TARGET =
    'host port ssh_host ssh_port ssh_username ssh_password ssh_private_key ssh_private_key_password'.split(' ');

  const ignore = () => {};

  const fault = (code, response, message = code) => Object.assign(new Error('WS2S: ' + message), { code, response });

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

  /** Text with a character for each byte, which is what base64 is made of. */
  const toBinary = (bytes) => {
    let text = '';
    for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode.apply(null, bytes.subarray(at, at + 8192));
    return text;
  };

  const fromBinary = (text) => new Uint8Array(text.length).map((_, at) => text.charCodeAt(at));

  /** What messages carry one after the other: below what servers take, whole characters and whole groups of base64. */
  const parts = (text) => (text.match(/[^]{1,65536}/gu) ?? ['']).map((data) => ({ data }));

  /** `[submit, open, end]`: runs what is submitted while it is open; before that it keeps up to `limit`. */
  const gate = (limit) => {
    /** Each goes on, or fails with the error that it gets. */
    let queue = [];
    let isOpen;
    let over;
    const flush = (error) => queue.splice(0).forEach((go) => go(error));
    return [
      (run, { signal } = {}) => {
        const life = new AbortController();
        const promise = new Promise((resolve, reject) => {
          const go = (error) => (error ? reject(error) : run().then(resolve, reject));
          const abort = () => {
            queue = queue.filter((each) => each !== go);
            reject(signal.reason);
          };
          signal?.addEventListener('abort', abort, life);
          if (signal?.aborted) abort();
          else if (over || queue.length >= limit) go(over ?? fault('QUEUE_FULL'));
          else if (isOpen) go();
          else queue.push(go);
        });
        // Nobody has to look at the promise; whoever does still sees the rejection.
        promise.catch(ignore).then(() => life.abort());
        return promise;
      },
      (isNow) => {
        isOpen = isNow;
        // What waited goes before anything newer.
        if (isNow) flush();
      },
      (error) => flush((over ??= error)),
    ];
  };

  /** A WebSocketStream in the shape of a WebSocket of `ws`, which can stop reading. */
  const streamed = (url, options) => {
    const stream = new WebSocketStream(url, options);
    let writer;
    let isResumed;
    const socket = {
      send: (data, taken) => writer.write(data).then(taken, ignore),
      close: () => stream.close(),
      pause() {
        isResumed = new Promise((resolve) => (socket.resume = resolve));
      },
    };
    const closed = stream.closed.catch((error) => {
      socket.resume?.();
      socket.onerror(error);
      return error;
    });
    const read = async () => {
      const { readable, writable } = await stream.opened;
      writer = writable.getWriter();
      socket.onopen();
      for await (const data of readable) {
        socket.onmessage({ data });
        await isResumed;
      }
    };
    // What was received before the end is told before it.
    const end = async () => {
      const { closeCode: code, reason } = await closed;
      socket.onclose({ code, reason });
    };
    read().then(end, end);
    return socket;
  };

  /** One TCP socket behind one WebSocket. */
  const newSocket = (url, options, signal) => {
    const { WebSocket = WS2S.WebSocket, queueLimit, maxBuffer } = options;
    const Socket = WebSocket ?? globalThis.WebSocket;
    const [opened, , lost] = keeper();
    if (!Socket) throw new Error('No WebSocket: give one as the option WebSocket');
    const ws = !WebSocket && globalThis.WebSocketStream ? streamed(url, options) : new Socket(url, options.protocols);
    /** The commands without a reply: the server answers in their order. */
    const sent = [];
    /** What waits for a reader: bytes, or the error that ended them. */
    const chunks = [];
    /** The sum of the bytes in `chunks`; held <= maxBuffer. */
    let held = 0;
    let readers = 0;
    /** Those that wait for something to read, or for the end. */
    const idle = [];
    let isPaused = false;
    let isClosing = false;
    let isOver = false;
    /** Why it ended, where that was not in order. */
    let failure;
    let ping;
    /** Aborted when it is over. */
    const life = new AbortController();
    /** Nothing came since the last ping. */
    let isMissed = false;

    /** Stops reading, or goes on; whoever waits has a look. */
    const steer = () => {
      const wasPaused = isPaused;
      // A reply to `connect` or `close` is worth reading all that is before it.
      const isAwaited = () => isClosing || sent.some(({ command }) => command === 'connect');
      isPaused = held > (wasPaused ? LOW : HIGH) && !!ws.pause && !isAwaited();
      if (isPaused !== wasPaused) ws[isPaused ? 'pause' : 'resume']();
      // The reply to a `send` is not: it is behind what only the reader can take away, who may be waiting for it.
      if (isPaused) sent.forEach((each) => each.isTaken && each.resolve());
      idle.splice(0).forEach((resolve) => resolve());
    };

    const [submit, open, end] = gate(queueLimit);

    /** Sends a command once for each part; fulfilled when all are done. */
    const ask = (command, options, ...parts) => {
      const send = (part) =>
        new Promise((resolve, reject) => {
          const request = { command, resolve, reject };
          sent.push(request);
          ws.send(JSON.stringify({ command, ...part }), () => {
            request.isTaken = true;
            steer();
          });
          steer();
        });
      return submit(() => Promise.all(parts.map(send)).then(ignore), options);
    };

    /** Takes out the oldest command that passes. */
    const take = (test) => {
      const at = sent.findIndex(test);
      return sent.splice(at, at < 0 ? 0 : 1)[0];
    };

    const rest = () => new Promise((resolve) => idle.push(resolve));

    /** Closes the WebSocket; reading goes on, as the server's part of the closing handshake is behind all else. */
    const shut = (reason = failure ?? fault('CLOSED')) => {
      isClosing = true;
      clearTimeout(patience);
      end(reason);
      sent.splice(0).forEach((request) => request.reject(reason));
      ws.close();
      steer();
    };

    const arrived = (bytes) => {
      call(socket.onRecv, bytes);
      if (isClosing || (socket.onRecv && !readers)) return;
      if (held + bytes.length > maxBuffer) {
        failure = fault('TOO_SLOW', bytes, `more than ${maxBuffer} bytes wait (maxBuffer)`);
        shut(failure);
        return call(socket.onError, failure);
      }
      chunks.push(bytes);
      held += bytes.length;
      steer();
    };

    const answered = (message) => {
      // The first version says nothing but `done`.
      const [command = sent[0]?.command ?? 'close'] = message.match(/\w+(?= done)/) ?? [];
      take((each) => each.command === command)?.resolve();
      if (command === 'connect') call(socket.onOpen);
      if (command === 'close') shut();
      steer();
    };

    const failed = (response, code, message) => {
      const error = fault(code, response, message);
      if (code === 3 || code === 5) return shut(error);
      const request = take(({ command }) => command === 'connect' || (code === 1 && command !== 'ping'));
      request?.reject(error);
      // Told to whoever reads, unless it is only the answer to a call.
      if (!request || readers) chunks.push(error);
      call(socket.onError, response);
      steer();
    };

    const patience = setTimeout(() => lose({ code: 1006, reason: 'no answer' }), CONNECT_MS);

    ws.onopen = () => {
      clearTimeout(patience);
      ping = setInterval(() => {
        // While reading is stopped for a slow reader, nothing can come.
        if (isMissed && !isPaused) return lose({ code: 1006, reason: 'no answer' });
        isMissed = true;
        ask('ping', {}, {});
      }, PING_MS);
      opened();
      open(true);
      call(socket.onReady);
    };

    ws.onmessage = ({ data: frame }) => {
      isMissed = false;
      try {
        const response = JSON.parse(frame);
        const { code, data, encoding, message } = response;
        if (code < 0) arrived(/[?&]v=2\b/.test(url) || encoding === 'base64' ? fromBinary(atob(data)) : encoder.encode(data));
        else if (code === 0) answered(message);
        else if (code > 0) failed(response, code, message);
        else throw code;
      } catch {
        call(socket.onError, fault('UNEXPECTED', frame));
      }
    };

    ws.onerror = (event) => {
      if (isClosing) return;
      const { hint } = lost(event, url, false);
      if (hint) failure = fault('CLOSED', event, hint);
      call(socket.onError, failure ?? event);
    };

    /** The WebSocket is over, or as good as that. */
    const lose = (event) => {
      if (isOver) return;
      if (!isClosing) failure ??= fault('CLOSED', event);
      isOver = true;
      life.abort();
      clearInterval(ping);
      shut(failure);
      call(socket.onClose, event);
    };
    ws.onclose = lose;

    const socket = {
      /** Dials; fulfilled when the server is connected, which `onOpen` tells too. */
      connect(...target) {
        const { signal } = Object(target.at(-1));
        if (signal) target.pop();
        const done = ask('connect', { signal }, Object.fromEntries(TARGET.map((name, i) => [name, target[i]])));
        // A dial under way is called off with its socket.
        done.catch(() => signal?.aborted && socket.close());
        return done;
      },

      /** Sends text; fulfilled when the server has taken it. */
      send: (text, options) => ask('send', options, ...parts(String(text))),

      /** Sends bytes; fulfilled when the server has taken them. */
      sendb: (bytes, options) =>
        ask('sendb', options, ...parts(btoa(toBinary(new Uint8Array(bytes.buffer ?? bytes, bytes.byteOffset, bytes.byteLength))))),

      /** Ends for good; fulfilled when it is over. */
      async close() {
        if (!ping) shut();
        else if (!isClosing) {
          ws.send(JSON.stringify({ command: 'close' }));
          isClosing = true;
          end(fault('CLOSED'));
          steer();
        }
        while (!isOver) await rest();
      },

      /** What arrives. Each chunk goes to one reader; leaving the loop closes nothing. */
      async *[Symbol.asyncIterator]() {
        readers += 1;
        try {
          for (;;) {
            if (chunks.length) {
              const chunk = chunks.shift();
              if (chunk instanceof Error) throw chunk;
              held -= chunk.length;
              steer();
              yield chunk;
            } else if (!isOver) await rest();
            else if (failure) throw failure;
            else return;
          }
        } finally {
          readers -= 1;
        }
      },
    };
    signal?.addEventListener('abort', socket.close, life);
    if (signal?.aborted) socket.close();
    return socket;
  };

  /** Reads what a redis server says, in pieces of any size; tells each reply: text, number, null, array or error. */
  function* reader(tell) {
    /** What was not read yet, a character for each byte. */
    let rest = '';

    /** A line, or `count` bytes, without the end of the line. */
    function* take(count) {
      for (;;) {
        const end = count ?? rest.indexOf('\n') + 1;
        if (end && end <= rest.length) {
          const text = rest.slice(0, end - 2);
          rest = rest.slice(end);
          return decoder.decode(fromBinary(text));
        }
        if (!count && rest.length > LINE_LIMIT) throw fault('UNEXPECTED');
        rest += toBinary(yield);
      }
    }

    function* value() {
      const line = yield* take();
      const text = line.slice(1);
      const number = Number(text);
      if (line[0] === '+') return text;
      if (line[0] === '-') return fault(text.split(' ')[0], text, text);
      if (line[0] === ':') return number;
      if (!'$*'.includes(line[0]) || !(number < STRING_LIMIT)) throw fault('UNEXPECTED', line);
      if (number < 0) return null;
      if (line[0] === '$') return yield* take(number + 2);
      const items = [];
      while (items.length < number) items.push(yield* value());
      return items;
    }

    for (;;) tell(yield* value());
  }

  /** The words of a line; quotes keep spaces together. */
  const words = (line) =>
    (line.match(/(("|').*?(\2|$)|[^\s"'])+/g) ?? []).map((word) => word.replace(/("|')(.*?)(\1|$)/g, '$2'));

  /** The commands of all lines as redis reads them. */
  const compose = (text) => {
    const lines = text.split('\n').map(words).filter((line) => line.length);
    const string = (word) => `$${encoder.encode(word).length}\r\n${word}\r\n`;
    return lines.map((line) => `*${line.length}\r\n${line.map(string).join('')}`);
  };

  /** A reply as `onResponse` shows it. */
  const shown = (value, depth = 0) =>
    Array.isArray(value)
      ? value.map((item, i) => `${i + 1}) ${shown(item, depth + 1)}`).join('\n' + '   '.repeat(depth))
      : (value?.response ?? value ?? '');

  const newRedisClient = (server, { reconnect, queueLimit }, host, port, auth, ...ssh) => {
    /** What to tell the reply of each command without one, oldest first: `[resolve, reject]`. */
    const sent = [];
    let socket;
    let isOver = false;

    const put = async (text) => {
      const commands = compose(text);
      socket.send(commands.join(''));
      const values = await Promise.all(commands.map(() => new Promise((...both) => sent.push(both))));
      if (values.length > 1) return values;
      if (values[0] instanceof Error) throw values[0];
      return values[0];
    };

    const [submit, open, end] = gate(queueLimit);

    const tell = (value) => {
      sent.shift()?.[0](value);
      const empty = value === null ? 'a null object' : value.length === 0 && value !== '' && 'an empty result';
      if (value instanceof Error) call(client.onError, value.response);
      else if (empty) call(client.onError, empty + ' is recevied form redis server');
      else call(client.onResponse, shown(value));
    };

    const begin = () => {
      const replies = reader(tell);
      replies.next();
      socket = server.newSocket();
      socket.onReady = () => {
        call(client.onSocketReady);
        socket.connect(host, port, ...ssh);
      };
      socket.onOpen = () => {
        opened();
        if (auth) put('auth ' + auth).catch(ignore);
        open(true);
        call(client.reconnectCount ? client.onReconnected : client.onReady);
      };
      socket.onRecv = (bytes) => {
        try {
          replies.next(bytes);
        } catch (error) {
          socket.onError(error);
        }
      };
      socket.onError = (error) => {
        socket.close();
        call(client.onError, error);
      };
      socket.onClose = (event) => {
        open(false);
        sent.splice(0).forEach(([, reject]) => reject(fault('CLOSED')));
        const { attempt } = lost(event, urlOf(server.ws2sServerAddress), !isOver && reconnect);
        if (attempt < RETRY_LIMIT) client.reconnectCount = attempt + 1;
        else if (!isOver) {
          client.close();
          call(client.onError, 'connection loss, max reconnect times reached');
        }
      };
    };

    const client = {
      reconnectCount: 0,

      /** Sends the commands of all lines; fulfilled with the reply, or with an array of them for several lines. */
      request: (text, options) => submit(() => put(text), options),

      /** Ends for good: no reconnect. */
      close() {
        isOver = true;
        stop();
        end(fault('CLOSED'));
        return socket.close();
      },
    };
    const [opened, stop, lost] = keeper(begin);
    begin();
    return client;
  };

  /** Makes sockets to what one server reaches. */
  class WS2S {
    /**
     * @param {string} ws2sServerAddress `ws://host:port/ws2s`; with `?v=2` the server sends base64 always
     * @param {object} [options] `maxBuffer` (16 MiB), `queueLimit` (100), `reconnect` (of the redis client: `false`, or
     *   `{min, max}` in ms), `protocols` (what WebSocket takes), `WebSocket` (a constructor, where there is no global
     *   one, or instead of WebSocketStream)
     */
    constructor(ws2sServerAddress, options) {
      this.ws2sServerAddress = ws2sServerAddress;
      this.options = { queueLimit: QUEUE_LIMIT, maxBuffer: MAX_BUFFER, ...options };
    }

    /** A socket; `signal` closes it. */
    newSocket({ signal } = {}) {
      return newSocket(urlOf(this.ws2sServerAddress), this.options, signal);
    }

    /** A redis client; the arguments after `auth` are those of `connect`. */
    newRedisClient(...args) {
      return newRedisClient(this, this.options, ...args);
    }

    /** The same by the original's name. */
    newRedisCient(...args) {
      return this.newRedisClient(...args);
    }
  }

  globalThis.WS2S = WS2S;
  if (typeof module === 'object') module.exports = { WS2S };
})();

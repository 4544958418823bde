/**
 * A server that does what a test tells it: refuses, cuts, keeps silent, says anything.
 *
 * By default it speaks just enough of the two protocols (WebShare on any path, names under /local and /broadcast) to carry
 * the clients; what the protocols really are is tested against the real server in `server.test.js`.
 */
import http from 'node:http';
import { WebSocketServer } from 'ws';
import { atEnd } from './end.js';

/** Starts one; ends with the test. */
export async function fakeServer(test, { port = 0 } = {}) {
  const server = new FakeServer();
  atEnd(test, () => server.stop());
  await new Promise((resolve) => server.http.listen(port, '127.0.0.1', resolve));
  server.port = server.http.address().port;
  server.url = `ws://127.0.0.1:${server.port}`;
  return server;
}

class FakeServer {
  /** Every connection since the start, oldest first: `{socket, url, key, partner, received}`. */
  connections = [];
  /** While true, every handshake is refused with 503. */
  isRefusing = false;
  /** The paths of the refused handshakes. */
  refused = [];
  /** Replaces the protocol: `{open(connection), message(connection, text or Buffer), close(connection)}`. */
  speaks = undefined;
  /** Replaces what it answers: `(connection, text or Buffer) => void`. */
  answer = undefined;
  #keys = 0;

  constructor() {
    this.http = http.createServer((_, response) => response.end());
    this.sockets = new WebSocketServer({ noServer: true });
    this.http.on('upgrade', (request, socket, head) => {
      if (this.isRefusing) {
        this.refused.push(request.url);
        return socket.end('HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\r\n');
      }
      this.sockets.handleUpgrade(request, socket, head, (ws) => this.#open(ws, request.url));
    });
  }

  get last() {
    return this.connections.at(-1);
  }

  /** Cuts every connection without a close frame. */
  cut() {
    this.sockets.clients.forEach((socket) => socket.terminate());
  }

  stop() {
    this.cut();
    this.http.close();
    this.http.closeAllConnections();
  }

  #open(socket, url) {
    const connection = { socket, url, received: [], key: undefined, partner: undefined };
    const isNamed = /^\/(local|broadcast)\//.test(url);
    this.connections.push(connection);
    socket.on('message', (data, isBinary) => {
      const message = isBinary ? data : String(data);
      connection.received.push(message);
      if (this.answer) this.answer(connection, message);
      else if (this.speaks) this.speaks.message(connection, message);
      else if (isNamed) this.others(connection).forEach((member) => member.socket.send(message));
      else this.#webshare(connection, message);
    });
    socket.on('close', () => {
      const others = this.others(connection);
      this.connections.splice(this.connections.indexOf(connection), 1, { ...connection, isClosed: true });
      if (this.speaks) this.speaks.close(connection);
      else if (isNamed) others.forEach((member) => member.socket.send('____disconnect'));
      else if (connection.partner) this.#unpair(connection);
    });
    if (this.speaks) this.speaks.open(connection);
    else if (isNamed) {
      for (const member of this.others(connection)) {
        member.socket.send('____connect');
        socket.send('____connect');
      }
    } else connection.key = `k${++this.#keys}`;
  }

  /** The other connections at the same path. */
  others(connection) {
    return this.connections.filter((other) => other !== connection && !other.isClosed && other.url === connection.url);
  }

  #webshare(connection, message) {
    if (typeof message !== 'string') return connection.partner?.socket.send(message);
    const { echo, command, body } = JSON.parse(message);
    const say = (to, ok, code, body = null, with_ = null) =>
      to.socket.send(JSON.stringify({ ok, code, body, command, echo: with_ }));
    const reply = (ok, code, body) => say(connection, ok, code, body, echo);

    if (command === 'key') return reply(true, 'SUCCESS', { key: connection.key });
    if (command === 'pair') {
      const target = this.connections.find((other) => !other.isClosed && other.key === body.target);
      if (!target) return reply(false, 'TARGET_NOT_FOUND');
      connection.partner = target;
      target.partner = connection;
      reply(true, 'SUCCESS', { with: target.key });
      return say(target, true, 'SUCCESS', { with: connection.key });
    }
    if (!connection.partner) return reply(false, 'NOT_PAIRED');
    if (command === 'relay') {
      reply(true, 'RELAY_SENT');
      return say(connection.partner, true, 'RELAY_OK', body ?? null);
    }
    reply(true, 'SUCCESS', { with: connection.partner.key });
    this.#unpair(connection);
  }

  #unpair(connection) {
    const partner = connection.partner;
    connection.partner = partner.partner = undefined;
    const push = { ok: true, code: 'SUCCESS', body: { with: connection.key }, command: 'unpair', echo: null };
    partner.socket.send(JSON.stringify(push));
  }
}

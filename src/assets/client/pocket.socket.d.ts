export type Port = number | string;

/** `ip:port` (a path may follow), a whole URL (`wss://…`), `[ip, port]`, or `{ip, port}`. */
export type Address = string | readonly [string, Port] | { ip: string; port?: Port };

/** `mix`: every address with every port. `flat`: each address with its own port. */
export type ListType = 'mix' | 'flat';

/** `broadcast`: all servers at once. `overflow`: the first that answers, and the next one when it is lost. */
export type ConnectionType = 'broadcast' | 'overflow';

export type Word = ListType | ConnectionType;

/** What a WebSocket sends. */
export type Sendable = string | ArrayBufferLike | ArrayBufferView | Blob;

/** One server to connect to; as text it is `ip:port`. */
export interface ListItem {
  ip: string;
  port: Port;
  name: string;
}

export interface AddressList extends Array<ListItem> {
  /** `['ip:port', …]`; `toString` joins them with commas. */
  toArray(): string[];
}

/** Thrown where an address is missing or cannot be used. */
export declare class AddressException extends Error {
  name: 'AddressException';
}

/** A message that did not get its receipt: rejects the promise of `signal`. */
export interface DeliveryError extends Error {
  /**
   * `CLOSED` (the connection was lost before the receipt, or there is none), `QUEUE_FULL` (too many messages wait for a
   * connection) or `NO_RECEIPT` (10,000 later messages were sent and this one is not confirmed).
   */
  code: 'CLOSED' | 'QUEUE_FULL' | 'NO_RECEIPT';
}

/** A message as it was received. */
export interface Envelope<D = any> {
  id?: string;
  message: string;
  data: D;
  __channel: string;
  __eventName?: string;
  __event: MessageEvent;
}

/** The server has a message of ours. */
export interface Receipt {
  socket: 'sent';
  messageId: string | number | null;
  time: string;
  /** `refused`: it looked like a push of the server, so nobody gets it. */
  attr: 'json' | 'string' | 'binary' | 'refused';
  __event: MessageEvent;
}

/** Another client came or went. */
export interface PresencePush {
  socket: 'connected' | 'disconnected';
  address: string;
  port: number;
  __event: MessageEvent;
}

/** `data` (of `message`, where it was one) will not be sent by `socket`. */
export interface Drop {
  id?: string;
  message?: string;
  data: any;
  code: 'CLOSED' | 'QUEUE_FULL';
  socket?: AugmentedWebSocket;
}

/** The next attempt to connect is made in `retryMs`; `attempt` counts from 0. */
export interface Reconnect {
  socket: AugmentedWebSocket;
  attempt: number;
  retryMs: number;
  /** What to do if the browser keeps this page from a local address, which it does not tell; else empty. */
  hint: string;
}

export interface EndEvent extends Event {
  code: number;
  reason: string;
  wasClean: boolean;
  /** As in {@link Reconnect}. */
  hint?: string;
}

/** What the channel `socket` tells: the first argument of the callback of `on('socket', event, callback)`. */
export interface SocketEvents {
  /** `[what was given, the URL]` */
  connecting: [Address, string];
  open: { socket: AugmentedWebSocket; data: Event };
  /** Anything that is neither a push nor a message on a channel. */
  message: MessageEvent;
  error: Event;
  /** A connection ended. Where `readyState` of the socket is 3, it is over for good. */
  close: EndEvent;
  reconnect: Reconnect;
  drop: Drop;
  connected: PresencePush;
  disconnected: PresencePush;
  sent: Receipt;
}

export type ReceiptCallback = (receipt: Receipt, socket: AugmentedWebSocket) => void;

/** In place of a callback. What is aborted is not sent if it was not, and rejects with the signal's reason. */
export interface CallOptions {
  callback?: ReceiptCallback;
  signal: AbortSignal;
}

/** Told every event of the channel `socket` that concerns one socket. */
export type SocketCallback = (name: string, told: { name: Address; socket: AugmentedWebSocket; data: any }) => void;

export interface On<This> {
  /** One event of the channel `socket`. */
  <E extends keyof SocketEvents>(
    channel: 'socket',
    event: E,
    callback: (data: SocketEvents[E], socket: AugmentedWebSocket) => void,
  ): This;
  /** One event of a channel. */
  <D = any>(
    channel: string,
    event: string,
    callback: (envelope: Envelope<D>, socket: AugmentedWebSocket) => void,
  ): This;
  /** All events of a channel. */
  (channel: string, callback: (event: any, data: any, socket: AugmentedWebSocket) => void): This;
}

/**
 * Stands for a WebSocket through all its connections. `open` and `close` come with every one of them; what is sent
 * while there is none waits for the next.
 */
export interface AugmentedWebSocket extends EventTarget {
  /** The URL of the server that is connected or tried. */
  readonly uri: string;
  /** The URLs that are tried in turn; more than one with `overflow`. */
  readonly uris: string[];
  readonly connected: boolean;
  /** 0 also while a lost connection is made again. */
  readonly readyState: 0 | 1 | 2 | 3;
  readonly bufferedAmount: number;
  binaryType: BinaryType;
  /** Fulfilled by the first connection, rejected with an AddressException where there never was one. */
  readonly opened: Promise<AugmentedWebSocket>;

  onopen?: ((event: Event) => void) | null;
  onmessage?: ((event: MessageEvent) => void) | null;
  onerror?: ((event: Event) => void) | null;
  onclose?: ((event: EndEvent) => void) | null;

  /** Sends as it is, without an envelope. Do not change bytes while they wait for a connection. */
  send(data: Sendable): void;
  /** Sends a message; returns its id, unless it is dropped. */
  sendJson(message: string, data?: unknown, callback?: ReceiptCallback): string | undefined;
  /** Leaves the connection, if there is one, for a new one. */
  reconnect(): void;
  /** Ends for good. */
  close(code?: number, reason?: string): void;
}

export interface Connection {
  addresses: string[];
  ports: Port[];
  listType: ListType;
  connectionType: ConnectionType;
  isSetup(): boolean;
  /** What would be connected to. Throws an AddressException for `flat` where the lengths differ. */
  list(type?: ListType): AddressList;
  addToList(list: ListItem[], ip: string, port: Port, name?: string): ListItem | {};
  /** Forgets all addresses; connections stay. */
  empty(): true;
  connect: Connect;
  on: On<Connection>;
}

/**
 * Connects to a list, or to what `setup` prepared; servers that are connected are kept. Fulfilled when all have been
 * open (`overflow`: one). Throws an AddressException where there is nothing to connect to.
 */
export type Connect = (
  list?: Address | readonly Address[] | Word | null,
  ...words: Word[]
) => Promise<AugmentedWebSocket[]>;

export interface PocketSocket {
  connection: Connection;
  on: On<PocketSocket>;
  connect: Connect;
  /**
   * Says where to connect to, without connecting: `('ip:port')`, `('ip', port)`, `('ip', ports)`, `(ips, ports)`,
   * `(['ip:port', …])`, `({name: [ip, port], …})`, `({name: {ip, port}, …})`, or whole URLs for addresses. Address and
   * port default to 127.0.0.1 and 8001. `mix` or `flat` and `broadcast` or `overflow` may follow in any place.
   */
  setup(
    address?: Address | readonly Address[] | Record<string, Address>,
    ports?: Port | readonly Port[] | Word | null,
    ...words: (Word | null | undefined)[]
  ): Connection;
  /** A socket beside those of `connect`. */
  makeSocket(url: Address, callback?: SocketCallback): AugmentedWebSocket;
  /** Sends over one socket; returns the message's id, unless it is dropped. */
  sendTo(socket: AugmentedWebSocket, message: string, callback: ReceiptCallback): string | undefined;
  sendTo(socket: AugmentedWebSocket, message: string, data?: unknown, callback?: ReceiptCallback): string | undefined;
  /** Sends over all sockets, connecting first where none is; returns the id for each. `false` for an empty message. */
  sendToAll(message: string, callback: ReceiptCallback): (string | undefined)[] | false;
  sendToAll(message: string, data?: unknown, callback?: ReceiptCallback): (string | undefined)[] | false;
  send: PocketSocket['sendToAll'];
  /**
   * Sends `channel.event` over one socket or over all; fulfilled with the first receipt, rejected with a DeliveryError.
   * The callback gets the receipt of every server.
   */
  signal(channel: string, event: string, callback: ReceiptCallback, socket?: AugmentedWebSocket): Promise<Receipt>;
  signal(channel: string, event: string, data: unknown, callback: ReceiptCallback): Promise<Receipt>;
  signal(
    channel: string,
    event: string,
    data?: unknown,
    socket?: AugmentedWebSocket | null,
    callback?: ReceiptCallback | CallOptions,
  ): Promise<Receipt>;
  /** Ends all connections. */
  close(): void;
}

export interface Pocket {
  socket: PocketSocket;
  /** `false`: a lost connection stays lost. Otherwise the bounds of the random wait in milliseconds (500, 30000). */
  reconnect: boolean | { min?: number; max?: number };
  /** Messages that may wait for a connection, for each socket; further ones are dropped and told. Default 100. */
  queueLimit: number;
  /** Where the server asks for one: a token (JWT), shown as a subprotocol with the next connection. */
  token?: string;
  /** How long a server may take to answer, in milliseconds. Default 5000. */
  connectTimeout: number;
  /** What to connect with where there is no global `WebSocket`, for example `require('ws')`. */
  WebSocket?: unknown;
}

export declare const pocket: Pocket;

declare global {
  /** Set by the classic script. */
  var pocket: import('./pocket.socket.js').Pocket;
  var AddressException: typeof import('./pocket.socket.js').AddressException;
}

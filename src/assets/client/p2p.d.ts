/** A failure of this client; a socket's other errors are its own. */
export interface P2pError extends Error {
  /**
   * `UNAVAILABLE` (not there, or taken, or it refused), `BUSY` (we have another partner), `SELF` (ourselves),
   * `NOT_PAIRED`, `TIMEOUT` (no answer in time), `LOST` (disconnected before the answer), `CLOSED` (the stream is),
   * `FLOOD` (a peer sent chunks without waiting for acks), `QUEUE_FULL` (too much waits for a connection).
   */
  code?: string;
}

export interface P2pOptions {
  /** How long an answer may take, in ms (15000); 0: for ever. */
  timeout?: number;
  /** Whether that device may pair with this one; anything but `false` is a yes. */
  accept?: (id: string) => unknown;
  /**
   * Whether pair, targets, rooms and services outlive a lost connection (true): the server is told again by the next
   * one. The partner hears `P2P_DISCONNECT` and then a new registration.
   */
  restore?: boolean;
}

/** Where a promise is returned: `signal` gives up waiting. */
export interface CallOptions {
  timeout?: number;
  signal?: AbortSignal;
}

export interface StreamOptions {
  sourceStreamId?: string;
  targetStreamId?: string;
  /** How long the peer may take to accept it, in ms (10000). */
  initStreamTimeout?: number;
  signal?: AbortSignal;
  /** In place of closing the stream when our connection is lost. */
  onDisconnect?: () => void;
  /** In place of closing the stream when the peer is gone; called for every device that goes. */
  onTargetDisconnect?: (id: string) => void;
  /** In place of closing the stream when the peer destroyed it; called for every stream that is destroyed. */
  onTargetStreamDestroyed?: (streamId: string) => void;
}

export type Bytes = ArrayBuffer | ArrayBufferView | string;

export interface P2pStreamEventMap {
  /** A chunk. The peer sends the next one when all handlers are done, be it that the promises they return are. */
  data: [chunk: Uint8Array];
  /** The peer sends no more. */
  end: [];
  /** Why it is destroyed. */
  error: [error: Error];
  /** It is over; without an `end` before it, too early. */
  close: [];
}

/** Bytes both ways between two devices, chunk by chunk. */
export interface P2pStream {
  readonly targetClientId: string;
  readonly sourceStreamId?: string;
  readonly targetStreamId?: string;
  readonly destroyed: boolean;
  /** Resolves when the peer took it: waiting for that is the flow control. Rejects when the stream is over before. */
  write(chunk: Bytes): Promise<void>;
  /** Says, after `chunk` if there is one, that nothing more comes. The other direction goes on. */
  end(chunk?: Bytes): Promise<void>;
  /** Ends both directions at once, and the peer's. */
  destroy(error?: Error): this;
  /** Ends both directions without a word to the peer. */
  close(error?: Error): this;
  on<K extends keyof P2pStreamEventMap>(type: K, listener: (...args: P2pStreamEventMap[K]) => unknown): this;
  once<K extends keyof P2pStreamEventMap>(type: K, listener: (...args: P2pStreamEventMap[K]) => unknown): this;
  off<K extends keyof P2pStreamEventMap>(type: K, listener?: (...args: P2pStreamEventMap[K]) => unknown): this;
}

type StreamCallback = (stream: P2pStream, argArray?: any[]) => void;
type StreamOrError = (stream: P2pStream & Error) => void;

/**
 * What the plugin adds to a socket. Besides, its listeners hear `P2P_REGISTER_SUCCESS` (id) when we are paired, whoever
 * asked for it; `P2P_REGISTER_FAILED` (error, id); `P2P_DISCONNECT` when the partner is lost and `P2P_UNREGISTER` when it
 * left; `TARGET_DISCONNECT` (id); and `SERVER_ERROR` (text), which goes to the console when nobody listens.
 */
export interface P2pDevice {
  readonly clientId: string;
  readonly deviceId: string;
  /** The partner, also while a lost connection may come back. */
  readonly targetClientId: string | undefined;
  readonly targetDeviceId: string | undefined;

  /** Pairs with a device. Rejects when that cannot be; with a callback nobody has to look at the promise. */
  registerP2pTarget(
    id: string,
    options?: CallOptions | null,
    success?: () => void,
    failure?: (error: P2pError) => void,
  ): Promise<true>;
  /** Leaves the partner. */
  unregisterP2pTarget(callback?: () => void): Promise<void>;
  /** Sends an event to the partner; a function as the last argument is called with its answer. */
  emit2(event: string, ...args: any[]): this;
  emitP2p(event: string, ...args: any[]): this;
  /** Like `emit2`, and resolves to the answer. */
  call2(event: string, ...args: any[]): Promise<any>;

  /** Sends an event to any device; a function as the last argument is called with its answer. */
  emitTo(id: string, event: string, ...args: any[]): this;
  /** Like `emitTo`, and resolves to the answer. */
  callTo(id: string, event: string, ...args: any[]): Promise<any>;
  /** From now on both ends are told when the other disconnects. */
  addP2pTarget(id: string, callback?: (error?: P2pError) => void): Promise<void>;
  onAddP2pTarget(callback: (id: string) => void): void;
  onP2pTargetDisconnect(callback: (id: string) => void): void;

  getClientList(callback?: (ids: string[]) => void): Promise<string[]>;
  isClientConnected(id: string, callback?: (isConnected: boolean) => void): Promise<boolean>;
  joinRoom(room: string, callback?: (answer: unknown) => void): Promise<unknown>;
  leaveRoom(room: string, callback?: (answer: unknown) => void): Promise<unknown>;
  /** To all others in the room; one need not be in it. */
  emitRoom(room: string, event: string, ...args: any[]): unknown;

  /** The arguments after the id may come in any order. The callback gets the stream or the error. */
  addP2pStream(id: string, ...args: (string | any[] | StreamOptions | StreamOrError | undefined)[]): Promise<P2pStream>;
  /** Accepts streams, of this channel if one is named. */
  onAddP2pStream(...args: (string | StreamOptions | StreamCallback | undefined)[]): void;
  offAddP2pStream(channel?: string): void;
  /** The one stream of a pair; `null` when the partner does not accept one. */
  registerP2pStream(
    options?: object | null,
    success?: (stream: P2pStream) => void,
    failure?: () => void,
  ): Promise<P2pStream | null>;
  onRegisterP2pStream(options: object | null, callback: StreamCallback): void;
  onRegisterP2pStream(callback?: StreamCallback): void;
  offRegisterP2pStream(): void;

  /** Resolves to whether the name was free. If not, `onError` is told, or who listens to `SERVER_ERROR`. */
  provideService(name: string, handler: (...args: any[]) => void, onError?: (why: string) => void): Promise<boolean>;
  destroyService(name: string): void;
  destroyAllServices(): void;
  /** Resolves to whether there is such a service. */
  emitService(name: string, ...args: any[]): Promise<boolean>;
}

/** Why there is no connection. */
export interface ConnectError extends Error {
  /** What the server said to a device that it refused. */
  data?: unknown;
  /** The next attempt is made in `retryMs`, where there is one; `attempt` counts from 0. */
  attempt?: number;
  retryMs?: number;
  /** What to do if the browser keeps this page from a local address, which it does not tell; else empty. */
  hint: string;
}

/** Our own client's socket: the part of socket.io-client's interface that programs use. */
export interface Line {
  readonly id: string | undefined;
  readonly connected: boolean;
  /** Whether it tries again by itself: not after `disconnect`, nor where the server wants nobody back. */
  readonly active: boolean;
  /** Bytes handed to the WebSocket that the network has not taken yet. */
  readonly bufferedAmount: number;
  /** Sends an event to the server; waits while there is no connection. */
  emit(event: string, ...args: any[]): this;
  on(event: 'connect', listener: () => void): this;
  on(event: 'connect_error', listener: (error: ConnectError) => void): this;
  on(event: 'disconnect', listener: (reason: DisconnectReason, detail?: CloseEvent) => void): this;
  /** What is dropped because too much waits for a connection: `args` are those of `emit`. */
  on(event: 'error', listener: (error: P2pError & { args: unknown[] }) => void): this;
  on(event: string, listener: (...args: any[]) => void): this;
  once(event: string, listener: (...args: any[]) => void): this;
  /** Without a listener: all of that event. */
  off(event: string, listener?: (...args: any[]) => void): this;
  listeners(event: string): ((...args: any[]) => void)[];
  /** Connects again after `disconnect`. */
  connect(): this;
  disconnect(): this;
  close(): this;
}

/** After the two with `io` no reconnect follows. */
export type DisconnectReason =
  | 'io client disconnect'
  | 'io server disconnect'
  | 'ping timeout'
  | 'transport close'
  | 'parse error';

export interface ConnectOptions extends P2pOptions {
  /** `/socket.io/` */
  path?: string;
  /** Sent to the server with the request to join. */
  auth?: object;
  /** `false`: a lost connection stays lost. Otherwise the bounds of the random wait in milliseconds (500, 30000). */
  reconnect?: boolean | { min?: number; max?: number };
  /** Disconnects it. */
  signal?: AbortSignal;
  /** Events that may wait while there is no connection (100); the event `error` tells of each further one. */
  queueLimit?: number;
  /** What to connect with where there is no global `WebSocket`, for example `require('ws')`. */
  WebSocket?: unknown;
}

/** Adds the plugin's functions to a socket of socket.io-client 2, 3 or 4 and returns it. */
export declare function p2pClientPlugin<S extends object>(
  socket: S,
  id?: string | null,
  options?: P2pOptions,
): S & P2pDevice;

/** Connects a device without socket.io-client, over a WebSocket. */
export declare function connectP2p(url: string | URL, id: string, options?: ConnectOptions): Line & P2pDevice;

declare global {
  /** Set by the classic script. */
  var p2pClientPlugin: typeof import('./p2p.js').p2pClientPlugin;
  var connectP2p: typeof import('./p2p.js').connectP2p;
}

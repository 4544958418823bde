export interface NamedSocketOptions {
  /** The server, `ws://host:port`; without a scheme, a page of https goes by wss. Default: the one that the script was loaded from, else `ws://localhost:9009`. */
  server?: string | URL;
  /** `false`: a lost connection stays lost. Otherwise the bounds of the random wait in milliseconds (500, 30000). */
  reconnect?: boolean | { min?: number; max?: number };
  /** Messages that may wait while there is no connection; further ones are dropped and told. Default 100. */
  queueLimit?: number;
  /** Own messages come back too. */
  echo?: boolean;
  /**
   * Of networks: milliseconds between two looks whether the server still answers, twice the time to notice; 0: none.
   * Default 30000. The other names have nothing that only the server would answer.
   */
  heartbeat?: number;
  /** Closes it for good. */
  signal?: AbortSignal;
  /** What to connect with where there is no global `WebSocket`, for example `require('ws')`. */
  WebSocket?: unknown;
}

/** The connection is gone and is tried again in `retryMs`; `attempt` counts from 0. */
export interface LostEvent extends Event {
  code: number;
  reason: string;
  wasClean: boolean;
  attempt: number;
  retryMs: number;
  /** What to do if the browser keeps this page from a local address, which it does not tell; else empty. */
  hint: string;
}

/** `data` will not be sent. */
export interface DropEvent extends Event {
  data: string | ArrayBuffer | ArrayBufferView | Blob;
  code: 'QUEUE_FULL' | 'CLOSED';
}

export interface EndEvent extends Event {
  code: number;
  reason: string;
  wasClean: boolean;
  /** As in {@link LostEvent}. */
  hint?: string;
}

export interface NamedSocketEventMap {
  open: Event;
  message: MessageEvent;
  error: Event;
  close: EndEvent;
  /** Another member came; `peerCount` is up to date. */
  connect: Event;
  /** Another member left; `peerCount` is up to date. */
  disconnect: Event;
  lost: LostEvent;
  drop: DropEvent;
}

/** A target whose events are known by their names. */
export interface KnownEvents<Events> extends EventTarget {
  addEventListener<K extends keyof Events>(
    type: K,
    listener: (this: this, event: Events[K]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener<K extends keyof Events>(
    type: K,
    listener: (this: this, event: Events[K]) => void,
    options?: boolean | EventListenerOptions,
  ): void;
  removeEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | EventListenerOptions,
  ): void;
}

/** Used like a `WebSocket`. `open` comes with every connection, `close` once, when it is over for good. */
export interface NamedSocket extends KnownEvents<NamedSocketEventMap> {
  readonly CONNECTING: 0;
  readonly OPEN: 1;
  readonly CLOSING: 2;
  readonly CLOSED: 3;

  /** `CONNECTING` also while a lost connection is made again. */
  readonly readyState: 0 | 1 | 2 | 3;
  readonly url: string;
  readonly protocol: string;
  readonly extensions: string;
  /** Bytes that the network has not taken yet, and those that wait for a connection. */
  readonly bufferedAmount: number;
  binaryType: BinaryType;
  /** Other members that are connected now. */
  readonly peerCount: number;

  onopen?: ((event: Event) => void) | null;
  onmessage?: ((event: MessageEvent) => void) | null;
  onerror?: ((event: Event) => void) | null;
  onclose?: ((event: EndEvent) => void) | null;
  onconnect?: ((event: Event) => void) | null;
  ondisconnect?: ((event: Event) => void) | null;
  onlost?: ((event: LostEvent) => void) | null;
  ondrop?: ((event: DropEvent) => void) | null;

  /** Sends to every other member; waits for a connection where there is none. */
  send(data: string | ArrayBufferLike | ArrayBufferView | Blob): void;
  /** Ends for good. */
  close(code?: number, reason?: string): void;
}

/** Works with `new` and without. Throws `Invalid Service Name: …` unless the name is 1–255 of `A-Za-z0-9._+=*-`. */
export interface NamedSocketConstructor {
  new (name: string, protocols?: string | string[], options?: NamedSocketOptions): NamedSocket;
  (name: string, protocols?: string | string[], options?: NamedSocketOptions): NamedSocket;
  readonly prototype: NamedSocket;
  readonly CONNECTING: 0;
  readonly OPEN: 1;
  readonly CLOSING: 2;
  readonly CLOSED: 3;
  /** Defaults of the options of the same name, for all instances. */
  server?: string | URL;
  WebSocket?: unknown;
  /** The address that the file was loaded from. */
  script?: string;
}

/** Everybody on one machine (one server) who uses the same name. */
export declare const LocalWebSocket: NamedSocketConstructor;
export type LocalWebSocket = NamedSocket;
/** Everybody in one network who uses the same name. */
export declare const BroadcastWebSocket: NamedSocketConstructor;
export type BroadcastWebSocket = NamedSocket;

/** `detail.target` is the peer. */
export interface PeerEvent extends CustomEvent<{ target: NetworkPeer }> {}

export interface NetworkPeerEventMap {
  open: Event;
  /** It sent this to us alone. */
  message: MessageEvent<string>;
  close: EndEvent;
}

/** Another member of a network channel. */
export interface NetworkPeer extends KnownEvents<NetworkPeerEventMap> {
  /** Its id, until it leaves. */
  readonly id: string;
  readonly url: '#';
  readonly readyState: 1 | 3;

  onopen?: ((event: Event) => void) | null;
  onmessage?: ((event: MessageEvent<string>) => void) | null;
  onclose?: ((event: EndEvent) => void) | null;

  /** Sends to this one alone. Throws once it is gone. */
  send(data: string): void;
  /** Ends it on this side only: nothing that it sends is told any more. */
  close(code?: number, reason?: string): void;
}

export interface NetworkSocketEventMap extends Omit<NamedSocketEventMap, 'connect' | 'disconnect'> {
  /** Another member came; it is in `peers`. */
  connect: PeerEvent;
  /** Another member left; it is in `peers` no more. */
  disconnect: PeerEvent;
}

/** As `NamedSocket`, for text, with the others as objects. */
export interface NetworkSocket
  extends Omit<NamedSocket, 'onconnect' | 'ondisconnect' | 'send' | keyof EventTarget>,
    KnownEvents<NetworkSocketEventMap> {
  /** One's own id; another one after each connection, and empty before the server has told it. */
  readonly id: string;
  /** The other members that are connected now. */
  readonly peers: readonly NetworkPeer[];

  onconnect?: ((event: PeerEvent) => void) | null;
  ondisconnect?: ((event: PeerEvent) => void) | null;

  /** Sends to every other member; waits for a connection where there is none. */
  send(data: string): void;
}

/** As `NamedSocketConstructor`. */
export interface NetworkSocketConstructor extends Omit<NamedSocketConstructor, 'prototype'> {
  new (name: string, protocols?: string | string[], options?: NamedSocketOptions): NetworkSocket;
  (name: string, protocols?: string | string[], options?: NamedSocketOptions): NetworkSocket;
  readonly prototype: NetworkSocket;
}

/** Everybody in one network who uses the same name, each with an id, to all or to one. */
export declare const NetworkWebSocket: NetworkSocketConstructor;
export type NetworkWebSocket = NetworkSocket;

declare global {
  /** Set by the classic script. */
  var LocalWebSocket: import('./named.js').NamedSocketConstructor;
  var BroadcastWebSocket: import('./named.js').NamedSocketConstructor;
  var NetworkWebSocket: import('./named.js').NetworkSocketConstructor;
  type LocalWebSocket = import('./named.js').NamedSocket;
  type BroadcastWebSocket = import('./named.js').NamedSocket;
  type NetworkWebSocket = import('./named.js').NetworkSocket;
}

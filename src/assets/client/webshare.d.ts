/** An answer that says no: the promise's rejection. */
export interface WebShareError extends Error {
  /**
   * The server's code (`TARGET_NOT_FOUND`, `ALREADY_PAIRED`, `NOT_PAIRED`, `RATE_LIMITED`, …), or ours: `CLOSED` (the
   * connection ended before the answer) or `QUEUE_FULL` (too many calls wait for a connection).
   */
  code: string;
  /** What came with it, for `RATE_LIMITED` `{retry_after_ms}`; usually `null`. */
  body: unknown;
}

/** Called once with the answer. Never called twice, always after the call that asked has returned. */
export type WebShareCallback<B = unknown> = (success: boolean, code: string, body: B | null) => void;

export interface WebShareOptions {
  /** Log every frame. */
  debug?: boolean;
  /** Appended to the address: `/webshare`, `/webshare?x=1`. */
  path?: string;
  /** Ask for binary relay (`?binary=1`). */
  binary?: boolean;
  /** `false`: a lost connection stays lost. Otherwise the bounds of the random wait in milliseconds (500, 30000). */
  reconnect?: boolean | { min?: number; max?: number };
  /** Calls that may wait while there is no connection; further ones fail with `QUEUE_FULL`. Default 100. */
  queueLimit?: number;
  /** Where the server asks for one: a token (JWT), shown as a subprotocol. */
  token?: string;
  /** Milliseconds between two looks whether the server still answers, twice the time to notice; 0: none. Default 30000. */
  heartbeat?: number;
  /** Closes the client for good. */
  signal?: AbortSignal;
  /** What to connect with where there is no global `WebSocket`, for example `require('ws')`. */
  WebSocket?: unknown;
}

/** In place of a callback. What is aborted is not sent if it was not, and rejects with the signal's reason. */
export interface CallOptions<B = unknown> {
  callback?: WebShareCallback<B>;
  signal?: AbortSignal;
}

/** The partner came or went; `with` is its key. */
export interface Partner {
  with: string;
}

/** `previous` is the key of the connection before this one. */
export interface KeyChange {
  key: string;
  previous?: string;
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

export interface EndEvent extends Event {
  code: number;
  reason: string;
  wasClean: boolean;
  /** As in {@link LostEvent}. */
  hint?: string;
}

/** `detail` is the body that the handler of the same name gets. */
export interface DetailEvent<D> extends Event {
  detail: D;
}

export interface WebShareEventMap {
  open: Event;
  lost: LostEvent;
  close: EndEvent;
  key: DetailEvent<KeyChange>;
  pair: DetailEvent<Partner>;
  unpair: DetailEvent<Partner>;
  relay: DetailEvent<any>;
  binary: DetailEvent<Uint8Array>;
  commanderror: DetailEvent<{ error: string } | null>;
}

export declare class WebShare extends EventTarget {
  /** The constructor to use where there is no global one, for all instances. */
  static WebSocket?: unknown;

  /** A page of https goes by wss. */
  constructor(host: string, port: number | string, debug?: boolean | WebShareOptions);
  constructor(url: string | URL, options?: WebShareOptions);

  debug: boolean;
  /** `waiting` is between two attempts, `closed` is for good. */
  readonly state: 'connecting' | 'open' | 'waiting' | 'closed';
  /** This client's own key; known from the `key` event on, and another one after every reconnect. */
  key?: string;
  /** The partner's key while paired. */
  pairedTo?: string | null;

  /** The partner sent something. Code is `RELAY_OK`. */
  onrelay?: ((success: true, code: 'RELAY_OK', body: any) => void) | null;
  /** The pair ended without `unpair()` of ours: the partner left, or the connection is lost. */
  onunpair?: ((success: true, code: 'SUCCESS', body: Partner) => void) | null;
  /** The server did not understand a request, or refused something that has no callback. */
  oncommanderror?: ((success: false, code: string, body: { error: string } | null) => void) | null;
  /** We are paired, whoever asked for it. */
  onpair?: ((success: true, code: 'SUCCESS', body: Partner) => void) | null;
  /** Our key is known, or is another one. */
  onkey?: ((success: true, code: 'SUCCESS', body: KeyChange) => void) | null;
  /** The partner sent bytes. */
  onbinary?: ((bytes: Uint8Array) => void) | null;
  /** A connection is open; comes again after every reconnect. */
  onopen?: ((event: Event) => void) | null;
  onlost?: ((event: LostEvent) => void) | null;
  /** It is over for good; comes once. */
  onclose?: ((event: EndEvent) => void) | null;

  pair(key: string, callback?: WebShareCallback<Partner> | CallOptions<Partner>): Promise<Partner>;
  unpair(callback?: WebShareCallback<Partner> | CallOptions<Partner>): Promise<Partner>;
  relay(data: unknown, callback?: WebShareCallback<null> | CallOptions<null>): Promise<null>;
  /** Resolves when the bytes are handed to the socket; there is no receipt. */
  relayBinary(bytes: ArrayBuffer | ArrayBufferView | Blob, callback?: WebShareCallback<null> | CallOptions<null>): Promise<null>;
  getKey(callback?: WebShareCallback<{ key: string }> | CallOptions<{ key: string }>): Promise<{ key: string }>;
  /** Bytes handed to the socket that the network has not taken yet. */
  readonly bufferedAmount: number;
  /** Ends for good; what is unanswered fails with `CLOSED`. */
  close(): void;

  addEventListener<K extends keyof WebShareEventMap>(
    type: K,
    listener: (this: WebShare, event: WebShareEventMap[K]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener<K extends keyof WebShareEventMap>(
    type: K,
    listener: (this: WebShare, event: WebShareEventMap[K]) => void,
    options?: boolean | EventListenerOptions,
  ): void;
  removeEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | EventListenerOptions,
  ): void;
}

declare global {
  /** Set by the classic script. */
  var WebShare: typeof import('./webshare.js').WebShare;
  type WebShare = import('./webshare.js').WebShare;
}

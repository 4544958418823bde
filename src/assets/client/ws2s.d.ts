/** What the server says to a command, or by itself. */
export interface Response {
  success: boolean;
  /**
   * 0 done · -1 data · 1 anything else · 2 connection refused · 3 no connection · 4 the server does not connect there
   * · 5 closed by the peer
   */
  code: number;
  message: string;
  data?: string;
}

/** A call that failed, and what a loop over a socket throws. */
export interface WS2SError extends Error {
  /**
   * The server's code, or ours: `CLOSED` (the WebSocket ended), `QUEUE_FULL` (too many calls wait for the connection),
   * `TOO_SLOW` (more than `maxBuffer` bytes waited for a reader), `UNEXPECTED` (the other side speaks something else).
   * For redis, the first word of its error.
   */
  code: number | string;
  /** What the code came with. */
  response?: Response | any;
}

export interface WS2SOptions {
  /**
   * Received bytes that may wait for a reader, default 16 MiB. Where reading can be stopped it is, long before;
   * elsewhere more than these close the socket with `TOO_SLOW`.
   */
  maxBuffer?: number;
  /** Calls that may wait while there is no connection; further ones fail with `QUEUE_FULL`. Default 100. */
  queueLimit?: number;
  /** Of the redis client. `false`: what is lost stays lost. Otherwise the bounds of the random wait (500, 30000 ms). */
  reconnect?: boolean | { min?: number; max?: number };
  /** Subprotocols; where the server asks for a token (JWT), `['jackfield', 'jackfield.token.' + jwt]`. */
  protocols?: string | string[];
  /** What to connect with where there is no global `WebSocket`, or instead of WebSocketStream. */
  WebSocket?: unknown;
}

/** What is aborted is not sent if it was not, and rejects with the signal's reason. */
export interface CallOptions {
  signal?: AbortSignal;
}

/**
 * A TCP socket. `for await (const bytes of socket)` reads what arrives: it ends where the peer closed, and throws where
 * the connection broke. Without `onRecv` everything waits for such a loop.
 */
export interface WS2SSocket extends AsyncIterable<Uint8Array> {
  /** The connection to the server is open. */
  onReady?: (() => void) | null;
  /** `connect` is done. */
  onOpen?: (() => void) | null;
  /** Bytes arrived. Nothing holds back what this cannot keep up with: that is what the loop is for. */
  onRecv?: ((bytes: Uint8Array) => void) | null;
  /** It is over; comes once. */
  onClose?: ((event: { code: number; reason: string }) => void) | null;
  /**
   * The server's refusal, the event of the WebSocket, or what the socket itself found; in place of the event an error that
   * says what to do where the browser may keep the page from a local address.
   */
  onError?: ((error: Response | Event | WS2SError) => void) | null;

  /** Connects to a TCP server; `signal` calls that off and closes the socket. */
  connect(host: string, port: number, options: CallOptions): Promise<void>;
  /** Connects to a TCP server, leaving the one before. jackfield has no ssh: its parameters are for other servers. */
  connect(
    host: string,
    port: number,
    ssh_host?: string,
    ssh_port?: number,
    ssh_username?: string,
    ssh_password?: string,
    ssh_private_key?: string,
    ssh_private_key_password?: string,
  ): Promise<void>;
  /**
   * Sends text as UTF-8. Fulfilled when the server says that it has it; while reading is stopped for a slow reader, when
   * the platform has passed it on.
   */
  send(text: string, options?: CallOptions): Promise<void>;
  /** Sends bytes. Fulfilled like `send`. */
  sendb(bytes: Uint8Array | ArrayBuffer | ArrayBufferView, options?: CallOptions): Promise<void>;
  /** Ends the TCP connection and the WebSocket behind what was sent. Fulfilled when it is over. */
  close(): Promise<void>;
}

/** What redis replied. */
export type RedisValue = string | number | null | RedisValue[] | WS2SError;

export interface RedisClient {
  /** Reconnects without a lasting connection between them; the tenth is not made. */
  reconnectCount: number;
  /** The connection to the ws2s server is open. */
  onSocketReady?: (() => void) | null;
  /** Connected to redis for the first time; `auth` is sent. */
  onReady?: (() => void) | null;
  /** Connected to redis again. */
  onReconnected?: (() => void) | null;
  /** A reply: numbers as such, arrays as the text of redis-cli (`1) a`, lines). */
  onResponse?: ((value: string | number) => void) | null;
  /** An error of redis (text), a null or empty reply (text), or what a socket's `onError` gets. */
  onError?: ((error: string | Response | Event | WS2SError) => void) | null;

  /**
   * Sends the command in each line; quotes keep words together. Fulfilled with the reply (`null` for nil, arrays as
   * such), or for several lines with an array of all, errors among them; a single error rejects.
   */
  request(text: string, options?: CallOptions): Promise<any>;
  /** Ends for good. */
  close(): Promise<void>;
}

export declare class WS2S {
  /** The constructor to use where there is no global one, for all instances. */
  static WebSocket?: unknown;

  /** `ws://host:port/ws2s`, without a scheme by wss in a page of https; with `?v=2` the server sends base64 always, with `?v=1` it replies as its first version. */
  constructor(ws2sServerAddress: string | URL, options?: WS2SOptions);

  ws2sServerAddress: string | URL;
  options: WS2SOptions;

  /** `signal` closes it. */
  newSocket(options?: CallOptions): WS2SSocket;
  newRedisClient(
    host: string,
    port: number,
    auth?: string,
    ssh_host?: string,
    ssh_port?: number,
    ssh_username?: string,
    ssh_password?: string,
    ssh_private_key?: string,
    ssh_private_key_password?: string,
  ): RedisClient;
  /** The same by the original's name. */
  newRedisCient: WS2S['newRedisClient'];
}

declare global {
  /** Set by the classic script. */
  var WS2S: typeof import('./ws2s.js').WS2S;
  type WS2S = import('./ws2s.js').WS2S;
}

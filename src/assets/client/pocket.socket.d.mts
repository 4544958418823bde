export * from './pocket.socket.js';

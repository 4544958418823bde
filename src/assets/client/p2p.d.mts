export * from './p2p.js';

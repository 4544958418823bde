export * from './ws2s.js';

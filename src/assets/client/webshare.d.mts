export * from './webshare.js';

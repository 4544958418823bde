export * from './named.js';

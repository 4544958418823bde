/** A site of another origin than any server: the client files as they are, and one page. */
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import https from 'node:https';
import { atEnd } from '../../js/support/end.js';

const CLIENT = new URL('../../../src/assets/client/', import.meta.url);

/**
 * Opens a page with this text in its head; `/client/FILE` is what the server would hand out there. With a certificate
 * (`{cert, key}`) it is a page of https.
 */
export async function page(t, context, head, certificate) {
  const serve = async (request, response) => {
    const file = /^\/client\/([\w.]+)$/.exec(request.url)?.[1];
    response.setHeader('Content-Type', file ? 'text/javascript; charset=utf-8' : 'text/html; charset=utf-8');
    response.end(file ? await readFile(new URL(file, CLIENT)) : `<!doctype html><link rel="icon" href="data:,">${head}`);
  };
  const site = certificate ? https.createServer(certificate, serve) : http.createServer(serve);
  await new Promise((resolve) => site.listen(0, '127.0.0.1', resolve));
  atEnd(t, () => {
    site.close();
    site.closeAllConnections();
  });
  const opened = await context.newPage();
  await opened.goto(`http${certificate ? 's' : ''}://127.0.0.1:${site.address().port}/`);
  return opened;
}

/** Heads that make the names of a client file global: as a classic script, and as a module. */
export const heads = (file, names) => ({
  classic: `<script src="/client/${file}.js"></script>`,
  module: `<script type="module">
    import { ${names} } from '/client/${file}.mjs';
    Object.assign(window, { imported: { ${names} } });
  </script>`,
});

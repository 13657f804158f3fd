import { createServer } from 'node:http';

/** A website of our own that can go down and come back on the same port. */
export async function startTarget() {
  let server = null;
  let port = 0;
  let status = 200;

  const up = () =>
    new Promise((resolve, reject) => {
      server = createServer((_request, response) => {
        response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8', 'X-Served-By': 'target' });
        response.end(status < 400 ? 'all is well' : 'out of order');
      });
      server.once('error', reject);
      server.listen(port, '127.0.0.1', () => {
        port = server.address().port;
        resolve();
      });
    });
  const down = () =>
    new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    });

  await up();
  return {
    url: `http://127.0.0.1:${port}/`,
    up,
    down,
    answer(code) {
      status = code;
    },
    async stop() {
      if (server.listening) await down();
    },
  };
}

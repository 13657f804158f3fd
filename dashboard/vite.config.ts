import { defineConfig } from 'vite';
import { precompress } from './build/precompress.ts';

export default defineConfig({
  base: './',
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  plugins: [precompress()],
  experimental: {
    // A deep link such as /monitors/42 is answered with index.html, so the page's own links must be
    // absolute. Scripts find their chunks beside themselves, wherever the server is mounted.
    renderBuiltUrl(filename, { hostType }) {
      return hostType === 'html' ? `/${filename}` : { relative: true };
    },
  },
  build: {
    target: ['chrome123', 'firefox120', 'safari17.5'],
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    emptyOutDir: true,
    reportCompressedSize: false,
  },
  server: {
    port: 5173,
    proxy: {
      '/api': { target: process.env['WISE_DEV_SERVER'] ?? 'http://127.0.0.1:8080', changeOrigin: true },
    },
  },
});

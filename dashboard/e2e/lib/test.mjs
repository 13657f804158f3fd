import { BASE_URL, launch } from './browser.mjs';

const TEST_TIMEOUT_MS = 90_000;
const WAIT_MS = 15_000;

const tests = [];

/**
 * Registers a test. `options.context` goes to the browser context. `options.expect` are patterns of console errors
 * that the test provokes: the browser reports every refused request there.
 */
export function test(name, run, options = {}) {
  tests.push({ name, run, options });
}

/** Errors of the console, of scripts and of the content security policy that no test provoked. */
const complaints = [];

export async function runAll() {
  const browser = await launch();
  let passed = 0;
  const failures = [];
  for (const { name, run, options } of tests) {
    const started = Date.now();
    const context = await browser.newContext({ viewport: { width: 1366, height: 800 }, ...options.context });
    context.setDefaultTimeout(WAIT_MS);
    const heard = listen(context, options.expect ?? []);
    try {
      const page = await context.newPage();
      await withDeadline(run({ page, context, url: (path) => BASE_URL + path }), TEST_TIMEOUT_MS);
      if (heard.length > 0) throw new Error(`the page complained:\n${heard.join('\n')}`);
      passed += 1;
      console.log(`ok   ${name} (${Date.now() - started} ms)`);
    } catch (error) {
      failures.push(name);
      console.log(`FAIL ${name}\n${indent(error.stack ?? String(error))}`);
    } finally {
      complaints.push(...heard);
      await context.close();
    }
  }
  await browser.close();
  if (complaints.length > 0) console.log(`complaints of the pages:\n${indent(complaints.join('\n'))}`);
  console.log(`${passed} passed, ${failures.length} failed`);
  return failures.length === 0 && complaints.length === 0;
}

function listen(context, expected) {
  const heard = [];
  const note = (text) => {
    if (!expected.some((pattern) => pattern.test(text))) heard.push(text);
  };
  context.on('console', (message) => {
    if (message.type() === 'error' || /content security policy|trusted/i.test(message.text())) {
      note(`${message.text()} ${message.location().url}`);
    }
  });
  context.on('weberror', (error) => note(String(error.error().stack ?? error.error())));
  context.on('request', (request) => {
    const url = request.url();
    if (!url.startsWith(BASE_URL) && !/^(?:data|blob):/.test(url))
      note(`a request to somewhere else: ${url}`);
  });
  return heard;
}

async function withDeadline(work, milliseconds) {
  let timer;
  const deadline = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`still running after ${milliseconds} ms`)), milliseconds);
  });
  try {
    return await Promise.race([work, deadline]);
  } finally {
    clearTimeout(timer);
  }
}

function indent(text) {
  return text.replaceAll(/^/gm, '     ');
}

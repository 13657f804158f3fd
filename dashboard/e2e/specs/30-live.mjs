import { assert, textMatches } from '../lib/assert.mjs';
import { openList, row } from '../lib/list.mjs';
import { addWebsite, call, RUN } from '../lib/server.mjs';
import { startTarget } from '../lib/target.mjs';
import { test } from '../lib/test.mjs';

test('a row goes down and comes back while one looks at it', async ({ page, url }) => {
  const target = await startTarget();
  try {
    const { name, id } = await addWebsite('live', target.url);
    await openList(page, url, RUN);
    const shown = row(page, name);
    await textMatches(shown, /Healthy/);

    await target.down();
    await textMatches(shown, /Down/);
    await textMatches(shown, /refused/i);
    await page.waitForFunction(() => /\d+ down/.test(document.title));
    await page.waitForFunction(() =>
      document.querySelector('link[rel="icon"]').href.endsWith('favicon-bad.svg'),
    );
    await textMatches(page.locator('[data-announcements]'), /down: .*live/);
    await textMatches(page.locator('.verdict-text'), /down:/);

    await target.up();
    await textMatches(shown, /Healthy/);
    await call('DELETE', `/monitors/${id}`);
    await shown.waitFor({ state: 'detached' });
  } finally {
    await target.stop();
  }
});

test('a new monitor appears in the list by itself', async ({ page, url }) => {
  const target = await startTarget();
  try {
    await openList(page, url, `${RUN} new`);
    const { name } = await addWebsite('new', target.url);
    await textMatches(row(page, name), /Healthy/);
  } finally {
    await target.stop();
  }
});

test('two tabs share one stream, and the second goes on when the first is closed', async ({
  page,
  context,
  url,
}) => {
  const target = await startTarget();
  try {
    const { name } = await addWebsite('shared', target.url);
    let streams = 0;
    context.on('request', (request) => {
      if (request.url().includes('/api/v1/events')) streams += 1;
    });
    await openList(page, url, RUN);
    await textMatches(row(page, name), /Healthy/);
    const second = await context.newPage();
    await openList(second, url, RUN);
    await textMatches(row(second, name), /Healthy/);
    assert.equal(streams, 1);

    await page.close();
    await target.down();
    await textMatches(row(second, name), /Down/);
    assert.equal(streams, 2);
  } finally {
    await target.stop();
  }
});

test(
  'what has not been checked for long is not shown as healthy',
  async ({ page, url }) => {
    const target = await startTarget();
    try {
      const { name } = await addWebsite('stale', target.url);
      await page.route('**/api/v1/events', (route) => route.abort());
      await page.route('**/api/v1/overview', async (route) => {
        const answer = await route.fetch();
        const overview = await answer.json();
        const place = overview.fields.indexOf('last_check');
        for (const item of overview.items) item[place] = Date.UTC(2020, 0, 1) / 1000;
        await route.fulfill({ response: answer, json: overview });
      });
      await openList(page, url, name);
      await textMatches(row(page, name), /Unknown/);
      await textMatches(row(page, name), /No check for .*, was/);
    } finally {
      await target.stop();
    }
  },
  { expect: [/ERR_FAILED/] },
);

test(
  'without a stream the list says so and is fetched instead',
  async ({ page, url }) => {
    await page.route('**/api/v1/events', (route) => route.abort());
    await openList(page, url);
    await textMatches(page.locator('.banner'), /Live updates lost \d\d:\d\d ago, retrying/);
    await textMatches(page.locator('.banner'), /refreshed every 10 seconds/);
    await page.locator('.verdict-text, .empty').first().waitFor();
    await page.unroute('**/api/v1/events');
    await page.getByText('Live', { exact: true }).waitFor({ timeout: 30_000 });
    await page.locator('.banner').waitFor({ state: 'detached' });
  },
  { expect: [/ERR_FAILED/] },
);

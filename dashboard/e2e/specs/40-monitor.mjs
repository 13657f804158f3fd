import { assert, textMatches } from '../lib/assert.mjs';
import { addWebsite } from '../lib/server.mjs';
import { startTarget } from '../lib/target.mjs';
import { test } from '../lib/test.mjs';

test('the page of a monitor that is down says why', async ({ page, url }) => {
  const target = await startTarget();
  try {
    await target.down();
    const { id, name } = await addWebsite('refused', target.url);
    await page.goto(url(`/monitors/${id}`));
    await page.getByRole('heading', { level: 1, name, exact: true }).waitFor();
    await textMatches(page.locator('.monitor-state'), /^Down for/);
    const failure = page.getByRole('region', { name: 'Last failure' });
    await textMatches(failure.locator('.class-name'), /^refused$/);
    await failure.getByRole('heading', { name: 'Addresses tried' }).waitFor();
    await textMatches(failure.getByRole('row'), new RegExp(new URL(target.url).host));
    await textMatches(page.getByRole('region', { name: 'Timeline' }), /Down/);

    const failed = page.getByRole('checkbox', { name: 'Failed only' });
    await failed.check();
    await page.waitForURL(/failed=1/);
    await textMatches(page.locator('.results tbody'), /refused/);
  } finally {
    await target.stop();
  }
});

test('the charts of a monitor follow its range, and read as a table', async ({ page, url }) => {
  const target = await startTarget();
  try {
    const { id } = await addWebsite('charted', target.url);
    await page.goto(url(`/monitors/${id}?range=15m`));
    const chart = page.getByRole('img', { name: /: min .* last / }).first();
    await chart.waitFor();
    await chart.locator('canvas').waitFor();
    await page
      .getByRole('button', { name: /^Show data table/ })
      .first()
      .click();
    await page
      .getByRole('region', { name: /^Data of/ })
      .getByRole('row')
      .nth(1)
      .waitFor();

    await page.getByRole('button', { name: '24 h', exact: true }).click();
    await page.waitForURL(/range=24h/);
    await page.goBack();
    await page.waitForURL(/range=15m/);

    // Dragging over the chart is a range of its own.
    const box = await page.locator('.u-over').first().boundingBox();
    await page.mouse.move(box.x + box.width * 0.3, box.y + 40);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.8, box.y + 40, { steps: 5 });
    await page.mouse.up();
    await page.waitForURL(/from=.*&to=/);
    assert.equal(await page.getByRole('button', { name: 'Custom' }).getAttribute('aria-pressed'), 'true');
    assert.equal(await page.getByRole('checkbox', { name: 'Live' }).isDisabled(), true);
  } finally {
    await target.stop();
  }
});

test('a check can be made at once', async ({ page, url }) => {
  const target = await startTarget();
  try {
    const { id } = await addWebsite('at once', target.url, { interval: '1h' });
    await page.goto(url(`/monitors/${id}`));
    await page.getByRole('button', { name: 'Check now' }).click();
    await textMatches(page.locator('.toast'), /Check passed/);
  } finally {
    await target.stop();
  }
});

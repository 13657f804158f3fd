import { assert, textMatches } from '../lib/assert.mjs';
import { openList, row } from '../lib/list.mjs';
import { addWebsite, call } from '../lib/server.mjs';
import { startTarget } from '../lib/target.mjs';
import { test } from '../lib/test.mjs';

test('a monitor is edited, paused, resumed and deleted', async ({ page, url }) => {
  const target = await startTarget();
  try {
    const { id, name } = await addWebsite('managed', target.url);
    await page.goto(url(`/monitors/${id}`));
    await page.getByRole('link', { name: 'Edit' }).click();
    await page.getByRole('heading', { level: 1, name: `Edit ${name}` }).waitFor();
    await page.locator('summary', { hasText: 'Schedule' }).click();
    await page.getByRole('textbox', { name: 'Check every' }).fill('3s');
    await page.locator('summary', { hasText: 'Tags and dependencies' }).click();
    await page.getByRole('button', { name: 'Add to Tags' }).click();
    await page.getByRole('textbox', { name: 'Name', exact: true }).last().fill('team');
    await page.getByRole('textbox', { name: 'Value of team' }).fill('web');
    await page.getByRole('button', { name: 'Save changes' }).click();
    await page.getByRole('heading', { level: 1, name, exact: true }).waitFor();
    const saved = await call('GET', `/monitors/${id}`);
    assert.deepEqual([saved.interval, saved.tags, saved.settings.url], ['3s', { team: 'web' }, target.url]);

    await page.getByRole('button', { name: 'Pause' }).click();
    await textMatches(page.locator('.monitor-state'), /^Paused/);
    await page.getByRole('button', { name: 'Undo' }).click();
    await textMatches(page.locator('.monitor-state'), /^(?:Unknown|Healthy)/);
    assert.equal((await call('GET', `/monitors/${id}`)).enabled, true);

    await page.getByRole('button', { name: 'Delete' }).click();
    const dialog = page.getByRole('dialog');
    const confirm = dialog.getByRole('button', { name: 'Delete' });
    assert.equal(await confirm.isDisabled(), true);
    await dialog.getByRole('textbox').fill(name);
    await confirm.click();
    await page.getByRole('heading', { level: 1, name: 'Monitors' }).waitFor();
    await assert.rejects(call('GET', `/monitors/${id}`), /404/);
  } finally {
    await target.stop();
  }
});

test(
  'a change that someone else made meanwhile is not overwritten',
  async ({ page, url }) => {
    const target = await startTarget();
    try {
      const { id } = await addWebsite('contested', target.url);
      await page.goto(url(`/monitors/${id}/edit`));
      await page.locator('summary', { hasText: 'Schedule' }).click();
      await page.getByRole('textbox', { name: 'Check every' }).fill('7s');
      await call('PATCH', `/monitors/${id}`, { interval: '5s' });
      await page.getByRole('button', { name: 'Save changes' }).click();
      await page.getByText('It was changed meanwhile').waitFor();
      assert.equal((await call('GET', `/monitors/${id}`)).interval, '5s');
      await page.getByRole('button', { name: 'Reload' }).click();
      await page.locator('summary', { hasText: 'Schedule' }).click();
      await page.waitForFunction(() => document.getElementById('field-interval')?.value === '5s');
    } finally {
      await target.stop();
    }
  },
  { expect: [/status of 412/] },
);

test('several monitors are paused and resumed together', async ({ page, url }) => {
  const target = await startTarget();
  try {
    const first = await addWebsite('many one', target.url);
    const second = await addWebsite('many two', target.url);
    await openList(page, url, first.name.replace(' one', ''));
    for (const { name } of [first, second])
      await page.getByRole('checkbox', { name: `Select ${name}` }).check();
    const bar = page.getByRole('region', { name: 'Selected monitors' });
    await textMatches(bar, /2 selected/);
    await bar.getByRole('button', { name: 'Pause' }).click();
    for (const { name } of [first, second]) await textMatches(row(page, name), /Paused/);
    await page.getByRole('button', { name: 'Undo' }).click();
    for (const { name } of [first, second]) await textMatches(row(page, name), /Healthy/);
  } finally {
    await target.stop();
  }
});

test('filters, search and order live in the address', async ({ page, url }) => {
  const target = await startTarget();
  try {
    const { name } = await addWebsite('filtered', target.url);
    await openList(page, url);
    await page.getByRole('searchbox').fill(name);
    await textMatches(row(page, name), /Healthy/);
    await page.getByRole('button', { name: /^Healthy/ }).click();
    await page.getByRole('button', { name: 'Latency' }).click();
    await page.waitForURL(/status=healthy/);
    await page.reload();
    await textMatches(row(page, name), /Healthy/);
    assert.equal(await page.getByRole('button', { name: /^Healthy/ }).getAttribute('aria-pressed'), 'true');
    assert.equal(
      await page.getByRole('columnheader', { name: 'Latency' }).getAttribute('aria-sort'),
      'descending',
    );
    await page.getByRole('searchbox').fill('nothing is called this');
    await page.getByRole('button', { name: 'Show all' }).click();
    assert.equal(new URL(page.url()).searchParams.has('q'), false);
  } finally {
    await target.stop();
  }
});

import { beforeEach, describe, expect, it } from 'vitest';
import {
  followed,
  guardLeaving,
  location,
  match,
  navigate,
  route,
  setQuery,
  startRouter,
  visits,
} from './router.ts';

describe('match', () => {
  it.each([
    ['/', { page: 'list' }],
    ['/dashboard', { page: 'list' }],
    ['/dashboard/', { page: 'list' }],
    ['/monitors', { page: 'list' }],
    ['/monitors/new', { page: 'new' }],
    ['/monitors/0190-a', { page: 'monitor', id: '0190-a' }],
    ['/monitors/a%2Fb', { page: 'monitor', id: 'a/b' }],
    ['/monitors/0190-a/edit', { page: 'edit', id: '0190-a' }],
    ['/monitors/0190-a/history', { page: 'not-found' }],
    ['/galaxy', { page: 'not-found' }],
    ['/monitors/%E0%A4%A', { page: 'monitor', id: '%E0%A4%A' }],
  ])('%s', (path, expected) => {
    expect(match(path)).toEqual(expected);
  });
});

describe('navigation', () => {
  beforeEach(async () => {
    guardLeaving(null);
    await navigate('/');
  });

  it('moves the address and counts a visit', async () => {
    const before = visits.value;
    await navigate('/monitors/new');
    expect(window.location.pathname).toBe('/monitors/new');
    expect(route.value).toEqual({ page: 'new' });
    expect(visits.value).toBe(before + 1);
  });

  it('keeps what is not changed in the query, and is no visit', () => {
    const before = visits.value;
    setQuery({ q: 'shop', status: 'unhealthy' });
    setQuery({ status: null, sort: 'name' });
    expect(window.location.search).toBe('?q=shop&sort=name');
    expect(location.value.query.get('q')).toBe('shop');
    setQuery({ q: '', sort: null });
    expect(window.location.search).toBe('');
    expect(visits.value).toBe(before);
  });

  it('stays when the page asks to', async () => {
    guardLeaving(async () => false);
    await navigate('/monitors/new');
    expect(window.location.pathname).toBe('/');
    guardLeaving(async () => true);
    await navigate('/monitors/new');
    expect(window.location.pathname).toBe('/monitors/new');
  });
});

describe('links', () => {
  const click = (markup: { href: string; target?: string; download?: string }, init: MouseEventInit = {}) => {
    const anchor = document.createElement('a');
    for (const [name, value] of Object.entries(markup)) anchor.setAttribute(name, value);
    document.body.append(anchor);
    let answer: string | null = 'never clicked';
    anchor.addEventListener('click', (event) => {
      answer = followed(event);
      event.preventDefault();
    });
    anchor.dispatchEvent(new MouseEvent('click', { bubbles: true, cancelable: true, ...init }));
    anchor.remove();
    return answer;
  };

  it('follows plain clicks on pages of the dashboard', () => {
    expect(click({ href: '/monitors/7?range=1h' })).toBe('/monitors/7?range=1h');
  });

  it.each([
    ['another origin', { href: 'https://elsewhere.example/' }, {}],
    ['a new tab', { href: '/monitors/7', target: '_blank' }, {}],
    ['a file', { href: '/monitors/7', download: 'x' }, {}],
    ['a modified click', { href: '/monitors/7' }, { ctrlKey: true }],
    ['the middle button', { href: '/monitors/7' }, { button: 1 }],
    ['the API', { href: '/api/v1/openapi.json' }, {}],
  ])('leaves %s to the browser', (_, markup, init) => {
    expect(click(markup, init)).toBeNull();
  });

  it('takes over clicks once it is started', async () => {
    const stop = startRouter();
    const anchor = document.createElement('a');
    anchor.href = '/monitors/new';
    document.body.append(anchor);
    anchor.click();
    await Promise.resolve();
    expect(route.value).toEqual({ page: 'new' });
    anchor.remove();
    stop();
  });
});

// A person with a browser, as HTTP alone: walks the provider's pages for op.mjs and returns what they say, a line each: "asked: ...",
// "hint: ...", "code: ...", "number: ...". mode "deny": says no.
async function go(jar, target, form) {
  for (let i = 0; i < 20; i += 1) {
    const r = await fetch(target, { redirect: 'manual', method: form ? 'POST' : 'GET',
      headers: { cookie: [...jar].map(([k, v]) => `${k}=${v}`).join('; ') }, body: form && new URLSearchParams(form) });
    for (const c of r.headers.getSetCookie()) {
      const [k, v] = c.split(';')[0].split(/=(.*)/s);
      if (v) jar.set(k, v); else jar.delete(k);
    }
    if (r.status < 300 || r.status >= 400) return await r.text();
    target = new URL(r.headers.get('location'), target).href;
    form = undefined;
  }
  throw new Error('too many redirects');
}
const value = (page, name) => new RegExp(`name="${name}" value="([^"]*)"`).exec(page)?.[1];
const action = (page, url) => new URL(/action="([^"]*)"/.exec(page)[1], url).href;

export async function walk(url, user, mode) {
  const jar = new Map(), said = [], device = new URL('/device', url).href;
  const show = (page, id) => {
    const m = new RegExp(`<p id="${id}">([^<]*)`).exec(page);
    if (m) said.push(`${id}: ${m[1]}`);
  };
  let page = await go(jar, url);
  const userCode = value(page, 'user_code');
  page = await go(jar, device, { xsrf: value(page, 'xsrf'), user_code: userCode });
  show(page, 'asked');
  show(page, 'hint');
  said.push(`code: ${/<code>([^<]*)/.exec(page)?.[1]}`);
  const answer = { xsrf: value(page, 'xsrf'), user_code: userCode };
  if (mode === 'deny') {
    await go(jar, device, { ...answer, abort: 'yes' });
    return said;
  }
  page = await go(jar, device, { ...answer, confirm: 'yes' });
  page = await go(jar, action(page, url), { prompt: 'login', login: user, password: 'x' });
  page = await go(jar, action(page, url), { prompt: 'consent' });
  if (!/Sign-in Success/.test(page)) throw new Error(page);
  show(page, 'number');
  return said;
}

// A real OpenID provider for tests, on a port of its own: node op.mjs DIR. DIR has op.key and op.pem (rig.sh makes them); the issuer
// is written to DIR/issuer once it serves. npm's oidc-provider does the protocol. Added here: what it lacks (interval, slow_down),
// what a company adds to its pages (who asks, the confirmation number), and faults, set by POST /_rig with JSON:
//   {fault: {path, kind, times}}  the next answers on path go wrong; kind is a row of faults below
//   {rotate: true}                new keys; codes and sessions stay
//   {person: {url, user, mode}}   somebody walks the pages; answered by what they read (person.mjs)
import crypto from 'node:crypto';
import fs from 'node:fs';
import https from 'node:https';
import { Provider } from 'oidc-provider';
import { SignJWT, base64url, decodeJwt, decodeProtectedHeader, exportJWK, generateKeyPair, importJWK } from 'jose';
import { walk } from './person.mjs';

const dir = process.argv[2];
const users = {
  alice: { preferred_username: 'alice', email: 'alice@example.test', email_verified: true,
    groups: ['sre', 'db-admins', 'a,b', 'white space'] },
  bob: { preferred_username: 'bob', email: 'bob@example.test', email_verified: false, groups: ['dev'] },
  root: { preferred_username: '-oProxyCommand=x', email: 'x@example.test', email_verified: true, groups: [] },
};
const device = 'urn:ietf:params:oauth:grant-type:device_code';
const client = (id, alg, more = {}) => ({ client_id: id, client_name: id, token_endpoint_auth_method: 'none',
  grant_types: [device, 'refresh_token'], response_types: [], redirect_uris: [], id_token_signed_response_alg: alg, ...more });
const secret = (method) => ({ token_endpoint_auth_method: method, client_secret: 'made for tests: a+b/c=d%e' });

let generation = 0, jwks, provider, callback;
let fault = null;
const polls = [];           // when each poll came, in ms
const numbers = new Map();  // device code -> number that the page showed

const number = (code) => {
  if (!numbers.has(code)) numbers.set(code, String(crypto.randomInt(1000000)).padStart(6, '0'));
  return numbers.get(code);
};
const text = (s) => String(s).replace(/[^\w .:@-]/g, '');
const page = (title, body) => `<!DOCTYPE html><html><head><title>${title}</title></head><body>${body}</body></html>`;

async function key(alg, kid, opts = {}) {
  const { privateKey } = await generateKeyPair(alg, { extractable: true, ...opts });
  return { ...(await exportJWK(privateKey)), kid, use: 'sig', ...(opts.any ? {} : { alg }) };
}

async function start(issuer) {
  generation += 1;
  jwks = { keys: [await key('RS256', `rs-${generation}`), await key('PS256', `ps-${generation}`),
    await key('ES256', `es-${generation}`), await key('ES384', `es384-${generation}`),
    await key('EdDSA', `ed-${generation}`, { crv: 'Ed25519' })] };
  provider = new Provider(issuer, {
    jwks,
    enabledJWA: { idTokenSigningAlgValues: ['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA'] },
    clients: [client('bastiond', 'RS256'), client('c-ps', 'PS256'), client('c-es', 'ES256'), client('c-es384', 'ES384'),
      client('c-ed', 'EdDSA'), client('c-basic', 'ES256', secret('client_secret_basic')),
      client('c-post', 'ES256', secret('client_secret_post'))],
    scopes: ['openid', 'profile', 'email', 'groups', 'offline_access'],
    claims: { openid: ['sub', 'auth_time', 'acr', 'amr', 'bastion_confirm'], profile: ['preferred_username'],
      email: ['email', 'email_verified'], groups: ['groups'] },
    conformIdTokenClaims: false,
    extraParams: ['binding_message'],
    findAccount: (ctx, id, token) => users[id] && { accountId: id,
      claims: async () => ({ sub: `sub-${id}`, ...users[id], ...(token?.jti ? { bastion_confirm: number(token.jti) } : {}) }) },
    features: { devInteractions: { enabled: true },
      deviceFlow: { enabled: true, charset: 'base-20', mask: '****-****',
        userCodeConfirmSource: async (ctx, form, c, info, code) => {
          const asked = ctx.oidc.entities.DeviceCode.params;
          ctx.body = page('Confirm', `<p id="asked">${text(asked.binding_message)}</p><p id="hint">${text(asked.login_hint)}</p>
            <code>${code}</code>${form}<button autofocus type="submit" form="op.deviceConfirmForm">Continue</button>`);
        },
        successSource: async (ctx) => {
          ctx.body = page('Done', `<p>Sign-in Success</p><p id="number">${number(ctx.oidc.deviceCode.jti)}</p>`);
        } } },
    cookies: { keys: [crypto.randomBytes(16).toString('hex')] },
    ttl: { DeviceCode: Number(process.env.DEVICE_TTL || 600), IdToken: 3600, AccessToken: 3600, Interaction: 3600, Session: 3600, Grant: 3600 },
  });
  provider.use(async (ctx, next) => {
    await next();
    if (ctx.path === '/device/auth' && ctx.status === 200) ctx.body = { ...ctx.body, interval: Number(process.env.INTERVAL || 1) };
    if (ctx.path === '/token') polls.push(Date.now());
    const f = fault;
    if (f && f.path === ctx.path && answers[f.kind] && ctx.body) await answers[f.kind](ctx, f);
  });
  callback = provider.callback();
}

// The ID token again, with other claims or another header, signed with the key that it was signed with.
async function resign(ctx, claims, header = {}) {
  const token = ctx.body.id_token;
  if (!token) return;
  const head = { ...decodeProtectedHeader(token), ...header };
  const jwk = jwks.keys.find((k) => k.kid === decodeProtectedHeader(token).kid);
  const body = { ...decodeJwt(token), ...claims };
  ctx.body = { ...ctx.body, id_token: await new SignJWT(body).setProtectedHeader(head).sign(await importJWK(jwk, head.alg)) };
}
const now = () => Math.floor(Date.now() / 1000);
const part = (o) => base64url.encode(JSON.stringify(o));

// Answers that are changed.
const answers = {
  slow_down: async (ctx, f) => {
    if (ctx.body.error !== 'authorization_pending' || !once(f)) return;
    ctx.body = { error: 'slow_down' };
  },
  aud: (ctx) => resign(ctx, { aud: 'somebody-else' }),
  iss: (ctx) => resign(ctx, { iss: 'https://localhost/other' }),
  exp: (ctx) => resign(ctx, { exp: now() - 3600 }),
  iat: (ctx) => resign(ctx, { iat: now() + 3600 }),
  old: (ctx) => resign(ctx, { iat: now() - 3600 }),
  none: (ctx) => {
    if (ctx.body.id_token) ctx.body = { ...ctx.body, id_token: `${part({ alg: 'none' })}.${part(decodeJwt(ctx.body.id_token))}.` };
  },
  hs256: (ctx) => {           // the public key's bytes as a shared secret
    if (!ctx.body.id_token) return;
    const kid = decodeProtectedHeader(ctx.body.id_token).kid;
    const signed = `${part({ alg: 'HS256', kid })}.${part(decodeJwt(ctx.body.id_token))}`;
    const pem = crypto.createPublicKey({ key: jwks.keys.find((k) => k.kid === kid), format: 'jwk' }).export({ type: 'spki', format: 'pem' });
    ctx.body = { ...ctx.body, id_token: `${signed}.${crypto.createHmac('sha256', pem).update(signed).digest('base64url')}` };
  },
  tamper: (ctx) => {
    if (!ctx.body.id_token) return;
    const p = ctx.body.id_token.split('.');
    p[1] = part({ ...decodeJwt(ctx.body.id_token), preferred_username: 'bob' });
    ctx.body = { ...ctx.body, id_token: p.join('.') };
  },
  issuer: (ctx) => { ctx.body = { ...ctx.body, issuer: 'https://localhost/other' }; },
  endpoint: (ctx) => { ctx.body = { ...ctx.body, token_endpoint: 'http://localhost/token' }; },
};
// Answers that are none.
const silences = {
  500: (res) => { res.statusCode = 503; res.end('busy'); },
  hang: () => {},
  big: (res) => { res.setHeader('content-type', 'application/json'); res.end(`{"pad":"${'x'.repeat(10 << 20)}"}`); },
  garbage: (res) => { res.setHeader('content-type', 'application/json'); res.end('{"issuer":'); },
  redirect: (res) => { res.statusCode = 302; res.setHeader('location', `${provider.issuer}/elsewhere`); res.end(); },
  cut: (res) => { res.socket.destroy(); },
};
const once = (f) => {
  if (f.times === undefined) return true;
  if (f.times <= 0) return false;
  f.times -= 1;
  return true;
};

function rig(req, res) {
  let body = '';
  req.on('data', (d) => { body += d; });
  req.on('end', async () => {
    const order = JSON.parse(body || '{}');
    if ('fault' in order) fault = order.fault;
    if (order.rotate) await start(provider.issuer);
    if (order.person) {
      const { url, user, mode } = order.person;
      return res.end(await walk(url, user, mode).then((said) => `${said.join('\n')}\n`, (e) => `failed: ${e.stack}\n`));
    }
    res.setHeader('content-type', 'application/json');
    return res.end(JSON.stringify({ generation, polls: polls.splice(0) }));
  });
}

const server = https.createServer({ key: fs.readFileSync(`${dir}/op.key`), cert: fs.readFileSync(`${dir}/op.pem`) }, (req, res) => {
  const path = new URL(req.url, 'https://localhost').pathname;
  if (path === '/_rig') return rig(req, res);
  if (fault && fault.path === path && silences[fault.kind] && once(fault)) return silences[fault.kind](res);
  return callback(req, res);
});
server.listen(Number(process.env.PORT || 0), '127.0.0.1', async () => {
  const issuer = `https://localhost:${server.address().port}`;
  await start(issuer);
  fs.writeFileSync(`${dir}/issuer.new`, issuer);
  fs.renameSync(`${dir}/issuer.new`, `${dir}/issuer`);
});

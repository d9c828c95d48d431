// npm's ssh2 as a client: client.js WAY WHAT PORT LOGIN RIG. Prints one line.
'use strict';
const fs = require('fs');
const path = require('path');
const { Client } = require('ssh2');

const [way, what, port, login, rig] = process.argv.slice(2);
const file = path.join(rig, 'file');
const far = path.join(rig, 'far', `ssh2-${way}`);
const near = path.join(rig, 'near', `ssh2-${way}`);
const privateKey = fs.readFileSync(path.join(rig, 'alice'));
const fail = (err) => {
  console.error(String(err));
  process.exit(1);
};
setTimeout(() => fail('too long'), 30000).unref();

// The host's key must be the one of plain_hosts.
const verifier = (name) => (key) =>
  fs.readFileSync(path.join(rig, 'plain_hosts'), 'utf8').split('\n')
    .some((line) => line.startsWith(`${name} `) && line.split(' ')[2] === key.toString('base64'));

const actions = {
  exec: (c, done) => c.exec('echo out; exit 7', (err, ch) => {
    if (err) return fail(err);
    let out = '';
    ch.on('data', (d) => { out += d; }).on('close', (code) => done(`${out.trim()} ${code}`));
    ch.stderr.resume();
  }),
  sftp: (c, done) => c.sftp((err, s) => {
    if (err) return fail(err);
    s.fastPut(file, far, (e1) => (e1 ? fail(e1) : s.fastGet(far, near, (e2) =>
      (e2 ? fail(e2) : done(fs.readFileSync(file).equals(fs.readFileSync(near)) ? 'same' : 'different')))));
  }),
};

function connect(options, name, then) {
  const c = new Client();
  c.on('ready', () => then(c)).on('error', fail);
  c.connect({ privateKey, hostVerifier: verifier(name), readyTimeout: 20000, ...options });
  return c;
}
function act(c, outer) {
  actions[what](c, (text) => {
    console.log(text);
    c.end();
    if (outer) outer.end();
  });
}
const here = `[127.0.0.1]:${port}`;
if (way === 'plus') connect({ host: '127.0.0.1', port: Number(port), username: `${login}+t1` }, here, (c) => act(c));
else connect({ host: '127.0.0.1', port: Number(port), username: 'alice' }, here, (outer) =>
  outer.forwardOut('127.0.0.1', 0, 't1', 22, (err, sock) =>
    (err ? fail(err) : connect({ sock, username: login }, 't1', (c) => act(c, outer)))));

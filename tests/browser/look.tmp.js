import { chromium } from 'playwright-core';
import { spawn } from 'node:child_process';
import net from 'node:net';
const echo = net.createServer((s) => { s.on('error',()=>{}); s.pipe(s); }).listen(0,'127.0.0.1');
await new Promise(r=>echo.on('listening',r));
const child = spawn('/tmp/target/console/debug/jackfield',['--listen','127.0.0.1:0','--bridge-allow',`127.0.0.1:${echo.address().port}`]);
const port = await new Promise(r=>{let o='';child.stdout.on('data',d=>{o+=d;const m=/http:\/\/127\.0\.0\.1:(\d+)/.exec(o);if(m)r(m[1]);});});
const browser = await chromium.launch({executablePath:'/usr/bin/chromium',args:['--headless','--no-sandbox','--disable-gpu']});
for (const [name,opt] of Object.entries({
 phone:{viewport:{width:360,height:740},isMobile:true,hasTouch:true,colorScheme:'dark',deviceScaleFactor:1},
 light:{viewport:{width:1280,height:860},colorScheme:'light'},
 ...(process.argv[2]==='all'?{dark:{viewport:{width:1280,height:860},colorScheme:'dark'},phonelight:{viewport:{width:360,height:740},isMobile:true,hasTouch:true,colorScheme:'light'}}:{})
})) {
  const ctx = await browser.newContext(opt);
  const say = (p)=>{p.on('console',l=>['error','warning'].includes(l.type())&&console.log(name,l.text()));p.on('pageerror',e=>console.log(name,'ERR',e.message));};
  ctx.on('page',say);
  const open = async (h)=>{const p=await ctx.newPage();await p.goto(`http://127.0.0.1:${port}/console${h}`);return p;};
  const shot=async(p,n)=>{await p.waitForTimeout(300);await p.screenshot({path:`/tmp/shots/${name}-${n}.png`,fullPage:true});};
  const a=await open('#pair'); await a.locator('#pair .state[data-state=open]').waitFor(); await shot(a,'pair');
  const [b]=await Promise.all([ctx.waitForEvent('page'),a.locator('.open-partner').click()]);
  await b.locator('.is-paired').waitFor();
  await b.locator('#pair textarea').fill('hello from the second tab'); await b.locator('#pair textarea').press('Enter');
  await a.locator('#pair textarea').fill('and back'); await a.locator('#pair textarea').press('Enter'); await shot(a,'paired');
  const n1=await open('#name=demo'), n2=await open('#name=demo'); await n1.getByText('1 other is here').waitFor();
  await n2.locator('#name textarea').fill('hi'); await n2.locator('#name textarea').press('Enter'); await shot(n1,'name');
  const c1=await open('#channels=demo'), c2=await open('#channels=demo'); await c1.locator('#channels .state[data-state=open]').waitFor();await c2.locator('#channels .state[data-state=open]').waitFor();
  await c1.getByRole('button',{name:'Signal'}).click(); await c2.locator('.entry.in').waitFor(); await shot(c1,'channels'); await shot(c2,'channels2');
  const d1=await open('#devices=kitchen'); await d1.locator('#devices .state[data-state=open]').waitFor();
  const d2=await open('#devices=hall&pair=kitchen'); await d2.locator('#devices .unpair-button:visible').waitFor({timeout:5000}).catch(e=>console.log(name,'no pair'));
  const d3=await open('#devices=<img src=x>'); await d3.locator('#devices .state[data-state=open]').waitFor();
  await d2.locator('#devices textarea').fill('ring'); await d2.locator('#devices textarea').press('Enter'); await shot(d1,'devices'); await shot(d3,'devices3');
  const t=await open(`#tcp=127.0.0.1:${echo.address().port}`); await t.locator('#tcp .state[data-state=open]').waitFor();
  await t.getByLabel('Line to send').fill('PING'); await t.getByLabel('Line to send').press('Enter'); await t.locator('.received').waitFor(); await shot(t,'tcp');
  const l=await open('#live'); await l.waitForTimeout(name==='light'?6000:3000); await shot(l,'live');
  const cl=await ctx.newPage(); await cl.goto(`http://127.0.0.1:${port}/client/`); await shot(cl,'clients');
  await cl.goto(`http://127.0.0.1:${port}/`); await shot(cl,'here');
  await ctx.close();
}
await browser.close(); child.kill(); echo.close(); process.exit(0);

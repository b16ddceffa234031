// Publishes with MQTT.js what it is told to, waits for a message on the topic it is told to subscribe to, and says what came of it.
const said = JSON.parse(process.argv[2]);
const mqtt = require("mqtt");
const client = mqtt.connect(said.url, { ...said.options, reconnectPeriod: 0 });
const end = (code, result) => client.end(false, () => { console.log(JSON.stringify(result)); process.exit(code); });
client.on("error", (error) => end(1, { error: String(error) }));
client.on("connect", async (connack) => {
  if (said.stay) { console.log("connected"); return; }
  const received = new Promise((resolve) => client.on("message", (topic, payload) => resolve([topic, payload.toString()])));
  const granted = await client.subscribeAsync(said.subscribe, { qos: 1 });
  for (let number = 0; number < said.count; number += 1) await client.publishAsync(said.topic, String(number), { qos: 1 });
  end(0, { granted: granted.map((each) => each.qos), received: await received, code: connack.returnCode ?? connack.reasonCode });
});

#!/bin/sh
# One Kafka node: KAFKA_A_B=c in the environment is a.b=c in its properties, as in Apache Kafka's own image.
set -e
env | sed -n 's/^KAFKA_//p' | while IFS='=' read -r name value; do
  printf '%s=%s\n' "$(printf %s "$name" | tr 'A-Z_' 'a-z.')" "$value"
done > /tmp/server.properties
echo 'log.dirs=/tmp/kafka' >> /tmp/server.properties
kafka() { java -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp '/jars/*' "$@"; }
kafka kafka.tools.StorageTool format --ignore-formatted -t 4L6g3nShT-eMCtK--X86sw -c /tmp/server.properties
exec java -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp '/jars/*' kafka.Kafka /tmp/server.properties

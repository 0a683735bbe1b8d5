"""Judge whether compute can reach the services that Session Manager needs.

Nothing here knows of CDK, of templates or of the EC2 API. The readiness check fills in a `Network`
from templates, and the command from the EC2 API. `Judge` follows TCP 443 through it, in the order
in which AWS decides:

1. An interface endpoint of the service with private DNS takes over the service's name in the whole
   VPC. Then only its security groups, its policy and the security groups of the compute decide. No
   route is used.
   https://docs.aws.amazon.com/vpc/latest/privatelink/create-interface-endpoint.html
2. Otherwise the route table of the subnet decides whether the service's public addresses can be
   reached.
   https://docs.aws.amazon.com/vpc/latest/userguide/VPC_Route_Tables.html
3. In both cases the security groups of the compute must allow outbound TCP 443. The network ACLs of
   the subnets must allow TCP 443 and the return traffic.

Every fact is yes, no or `Unknown`, and so is every verdict. The agent's own configuration (a
proxy, other endpoints, another DNS resolver) is not judged.
"""

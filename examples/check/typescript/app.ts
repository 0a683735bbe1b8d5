import * as cdk from "aws-cdk-lib";
import * as ec2 from "aws-cdk-lib/aws-ec2";
import * as iam from "aws-cdk-lib/aws-iam";
import type { Construct } from "constructs";

/** The network: its private subnets have no way out, and the endpoint of ssm alone. */
class Network extends cdk.Stack {
  readonly vpc: ec2.Vpc;

  constructor(scope: Construct, id: string) {
    super(scope, id);
    this.vpc = new ec2.Vpc(this, "Vpc", {
      maxAzs: 1,
      natGateways: 0,
      subnetConfiguration: [{ name: "Servers", subnetType: ec2.SubnetType.PRIVATE_ISOLATED }],
    });
    this.vpc.addInterfaceEndpoint("Ssm", { service: ec2.InterfaceVpcEndpointAwsService.SSM });
  }
}

/** A role that may not open the channels of Session Manager. */
class Servers extends cdk.NestedStack {
  readonly role: iam.Role;

  constructor(scope: Construct, id: string) {
    super(scope, id);
    this.role = new iam.Role(this, "Role", {
      assumedBy: new iam.ServicePrincipal("ec2.amazonaws.com"),
    });
  }
}

/** A server in a subnet of the network. */
class Web extends cdk.Stack {
  constructor(scope: Construct, id: string, network: Network) {
    super(scope, id);
    const server = new ec2.Instance(this, "Server", {
      vpc: network.vpc,
      vpcSubnets: { subnetType: ec2.SubnetType.PRIVATE_ISOLATED },
      instanceType: new ec2.InstanceType("t3.micro"),
      machineImage: ec2.MachineImage.latestAmazonLinux2023(),
      role: new Servers(this, "Servers").role,
    });
    // The report of the check at synthesis prints such an id, in each language.
    cdk.Validations.of(server).acknowledge({
      id: "SessionManagerReadiness::endpoint-missing",
      reason: "the endpoint of ssmmessages is shared from another account",
    });
  }
}

const app = new cdk.App();
const production = new cdk.Stage(app, "Production");
new Web(production, "Web", new Network(production, "Network"));

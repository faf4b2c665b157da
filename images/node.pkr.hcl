# An AWS image of a RayDog node, for head and workers: YellowDog agent, Python with Ray, Valkey, SSH. Other clouds need
# another `source`; the `build` stays.
#
#   packer init images/node.pkr.hcl
#   packer build -var ssh_public_key="$(cat ~/.ssh/id_ed25519.pub)" images/node.pkr.hcl

packer {
  required_plugins {
    amazon = {
      source  = "github.com/hashicorp/amazon"
      version = ">= 1.3.0"
    }
  }
}

variable "region" {
  type        = string
  default     = "eu-west-2"
  description = "The region in which the image is made and used."
}

variable "instance_type" {
  type        = string
  default     = "t3.medium"
  description = "The machine that makes the image. Its architecture is that of the image."
}

variable "ray_version" {
  type        = string
  default     = "2.60.0"
  description = "Ray's version: that of your own machine."
}

variable "python" {
  type        = string
  default     = "python3"
  description = "Debian's package of Python; its version must be that of your own machine."
}

variable "ssh_public_key" {
  type        = string
  description = "The public key of `auth.ssh_private_key`."
}

source "amazon-ebs" "node" {
  region        = var.region
  instance_type = var.instance_type
  ssh_username  = "admin"
  ami_name      = "raydog-node-ray-${var.ray_version}-{{timestamp}}"

  source_ami_filter {
    owners      = ["136693071363"] # Debian
    most_recent = true
    filters = {
      name                = "debian-12-amd64-*"
      virtualization-type = "hvm"
    }
  }

  launch_block_device_mappings {
    device_name           = "/dev/xvda"
    volume_size           = 20
    volume_type           = "gp3"
    delete_on_termination = true
    # The defaults of gp3, which Packer 1.6 requires.
    iops       = 3000
    throughput = 125
  }
}

build {
  sources = ["source.amazon-ebs.node"]

  provisioner "shell" {
    scripts = [
      "${path.root}/../examples/autoscaler/scripts/node-setup.sh",
      "${path.root}/../examples/autoscaler/scripts/install-valkey.sh",
    ]
    environment_vars = [
      "PYTHON=${var.python}",
      "RAY_VERSION=${var.ray_version}",
      "SSH_PUBLIC_KEY=${var.ssh_public_key}",
    ]
    execute_command = "sudo env {{ .Vars }} bash {{ .Path }}"
  }

  # Each instance must have its own SSH host keys and identity.
  provisioner "shell" {
    inline = [
      "sudo rm -f /etc/ssh/ssh_host_*",
      "sudo cloud-init clean --logs --machine-id",
    ]
  }
}

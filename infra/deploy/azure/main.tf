# A clean room on Azure: a confidential VM (AMD SEV-SNP) that boots the measured image and nothing else. Nobody logs in: the
# image has no shell and no SSH server, the guest agent is off, no port is open.
#
# Not tried on Azure: formatted, parsed and read through here, never planned or applied.
#
#   sh infra/deploy/azure/image.sh --help           # makes room.efi and room.vhd
#   terraform init && terraform apply -var resource_group=… -var image_vhd_uri=https://….blob.core.windows.net/images/room.vhd …
#   python3 infra/deploy/azure/pcrs.py room.efi     # what the VM must measure to; docs/operate/measured-image.md

terraform {
  required_version = ">= 1.5"
  required_providers {
    azurerm = {
      source  = "hashicorp/azurerm"
      version = "~> 4.0"
    }
  }
}

provider "azurerm" {
  features {}
  subscription_id = var.subscription_id
}

data "azurerm_resource_group" "room" {
  name = var.resource_group
}

# --- the measured image ----------------------------------------------------------------------------------------------

resource "azurerm_shared_image_gallery" "images" {
  name                = replace("${var.name}images", "-", "")
  resource_group_name = data.azurerm_resource_group.room.name
  location            = data.azurerm_resource_group.room.location
}

resource "azurerm_shared_image" "room" {
  name                      = var.name
  gallery_name              = azurerm_shared_image_gallery.images.name
  resource_group_name       = data.azurerm_resource_group.room.name
  location                  = data.azurerm_resource_group.room.location
  os_type                   = "Linux"
  hyper_v_generation        = "V2"
  architecture              = "x64"
  confidential_vm_supported = true

  identifier {
    publisher = "depa"
    offer     = "clean-room"
    sku       = var.name
  }
}

resource "azurerm_shared_image_version" "room" {
  name                = var.image_version
  gallery_name        = azurerm_shared_image_gallery.images.name
  image_name          = azurerm_shared_image.room.name
  resource_group_name = data.azurerm_resource_group.room.name
  location            = data.azurerm_resource_group.room.location
  blob_uri            = var.image_vhd_uri
  storage_account_id  = var.image_storage_account_id

  target_region {
    name                   = data.azurerm_resource_group.room.location
    regional_replica_count = 1
  }

  lifecycle {
    # A version is what an image set was approved for: another image is another version.
    prevent_destroy = true
  }
}

# --- the network: out by https, nothing in ---------------------------------------------------------------------------

resource "azurerm_virtual_network" "room" {
  name                = var.name
  resource_group_name = data.azurerm_resource_group.room.name
  location            = data.azurerm_resource_group.room.location
  address_space       = ["10.71.0.0/24"]
}

resource "azurerm_subnet" "room" {
  name                            = "rooms"
  resource_group_name             = data.azurerm_resource_group.room.name
  virtual_network_name            = azurerm_virtual_network.room.name
  address_prefixes                = ["10.71.0.0/26"]
  default_outbound_access_enabled = false
}

resource "azurerm_network_security_group" "room" {
  name                = var.name
  resource_group_name = data.azurerm_resource_group.room.name
  location            = data.azurerm_resource_group.room.location

  security_rule {
    name                       = "nothing-in"
    priority                   = 100
    direction                  = "Inbound"
    access                     = "Deny"
    protocol                   = "*"
    source_port_range          = "*"
    destination_port_range     = "*"
    source_address_prefix      = "*"
    destination_address_prefix = "*"
  }

  security_rule {
    name                       = "https-out"
    priority                   = 100
    direction                  = "Outbound"
    access                     = "Allow"
    protocol                   = "Tcp"
    source_port_range          = "*"
    destination_port_ranges    = var.ports_out
    source_address_prefix      = "*"
    destination_address_prefix = "Internet"
  }

  security_rule {
    name                       = "nothing-else-out"
    priority                   = 200
    direction                  = "Outbound"
    access                     = "Deny"
    protocol                   = "*"
    source_port_range          = "*"
    destination_port_range     = "*"
    source_address_prefix      = "*"
    destination_address_prefix = "*"
  }
}

resource "azurerm_subnet_network_security_group_association" "room" {
  subnet_id                 = azurerm_subnet.room.id
  network_security_group_id = azurerm_network_security_group.room.id
}

resource "azurerm_public_ip" "out" {
  name                = "${var.name}-out"
  resource_group_name = data.azurerm_resource_group.room.name
  location            = data.azurerm_resource_group.room.location
  allocation_method   = "Static"
  sku                 = "Standard"
}

resource "azurerm_nat_gateway" "out" {
  name                = "${var.name}-out"
  resource_group_name = data.azurerm_resource_group.room.name
  location            = data.azurerm_resource_group.room.location
  sku_name            = "Standard"
}

resource "azurerm_nat_gateway_public_ip_association" "out" {
  nat_gateway_id       = azurerm_nat_gateway.out.id
  public_ip_address_id = azurerm_public_ip.out.id
}

resource "azurerm_subnet_nat_gateway_association" "out" {
  subnet_id      = azurerm_subnet.room.id
  nat_gateway_id = azurerm_nat_gateway.out.id
}

resource "azurerm_network_interface" "room" {
  count               = var.rooms
  name                = "${var.name}-${count.index}"
  resource_group_name = data.azurerm_resource_group.room.name
  location            = data.azurerm_resource_group.room.location

  ip_configuration {
    name                          = "room"
    subnet_id                     = azurerm_subnet.room.id
    private_ip_address_allocation = "Dynamic"
  }
}

# --- the rooms -------------------------------------------------------------------------------------------------------

resource "azurerm_linux_virtual_machine" "room" {
  count                 = var.rooms
  name                  = "${var.name}-${count.index}"
  resource_group_name   = data.azurerm_resource_group.room.name
  location              = data.azurerm_resource_group.room.location
  size                  = var.size
  network_interface_ids = [azurerm_network_interface.room[count.index].id]
  source_image_id       = azurerm_shared_image_version.room.id

  # SEV-SNP with a vTPM, whose PCRs say what booted.
  vtpm_enabled        = true
  secure_boot_enabled = true

  os_disk {
    caching              = "ReadOnly"
    storage_account_type = "Premium_LRS"
    # The vTPM's state is bound to this VM; the disk itself is dm-verity and holds no secret.
    security_encryption_type = "VMGuestStateOnly"
  }

  # Azure asks for a user; the image has neither an agent that would make it nor a way to log in.
  admin_username                  = "nobody-logs-in"
  disable_password_authentication = true
  provision_vm_agent              = false
  allow_extension_operations      = false

  admin_ssh_key {
    username   = "nobody-logs-in"
    public_key = var.admin_public_key
  }

  lifecycle {
    precondition {
      condition     = can(regex("^Standard_(DC|EC)[0-9]+a[a-z]*s_v[56]$", var.size))
      error_message = "A size with AMD SEV-SNP is needed: Standard_DC4as_v5, Standard_EC8as_v5 and the like."
    }
  }
}

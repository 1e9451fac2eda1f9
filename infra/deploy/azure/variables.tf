variable "subscription_id" {
  description = "Subscription that pays."
  type        = string
}

variable "resource_group" {
  description = "Resource group that is there, in a region that has confidential VMs."
  type        = string
}

variable "name" {
  description = "Beginning of all names."
  type        = string
  default     = "depa-room"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,20}$", var.name))
    error_message = "Small letters, digits and hyphens, 3 to 21 of them."
  }
}

variable "rooms" {
  description = "VMs. One run for each boot: more runs at once are more VMs."
  type        = number
  default     = 1
}

variable "size" {
  description = "A size with AMD SEV-SNP."
  type        = string
  default     = "Standard_DC4as_v5"
}

variable "image_vhd_uri" {
  description = "The measured image as a fixed VHD in a storage account: room.vhd of infra/deploy/azure/image.sh (untested on Azure), uploaded as a page blob."
  type        = string
}

variable "image_storage_account_id" {
  description = "Resource id of that storage account."
  type        = string
}

variable "image_version" {
  description = "Version of the image, like 1.4.0."
  type        = string
}

variable "ports_out" {
  description = "Ports of contract service, key services and object stores."
  type        = list(string)
  default     = ["443", "8443"]
}

variable "admin_public_key" {
  description = "An SSH public key, because Azure asks for one. Its private half may be thrown away."
  type        = string
}

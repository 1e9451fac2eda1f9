output "rooms" {
  description = "Names of the VMs."
  value       = azurerm_linux_virtual_machine.room[*].name
}

output "address_out" {
  description = "The address that key services and stores see."
  value       = azurerm_public_ip.out.ip_address
}

output "image_version_id" {
  description = "What the VMs booted; goes into the notes of the image set."
  value       = azurerm_shared_image_version.room.id
}

namespace VhdService.HyperV;

/// <summary>The memory of a guest. One of the two things that a hypervisor brings to plug the devices in; <see cref="IInterruptSink"/> is the other.</summary>
/// <remarks>
/// Any thread. The guest's processors change the memory at any moment, so whatever is judged is copied first: see <see cref="GuestMemoryExtensions"/>.
/// Addresses given out stay valid until the devices that use this memory are disposed of.
/// </remarks>
public interface IGuestMemory
{
    /// <summary>Where a range of guest memory lies in this process.</summary>
    /// <param name="guestPhysicalAddress">The first byte, in bytes; any number, because a guest names it.</param>
    /// <param name="length">Bytes; any number.</param>
    /// <param name="address">The first byte here; the others follow it.</param>
    /// <returns>False when not all of the range is memory, or when it does not lie in one piece here, or <paramref name="length"/> is negative. A range inside a page of 4096 bytes is always one piece.</returns>
    bool TryGetAddress(ulong guestPhysicalAddress, long length, out nint address);
}

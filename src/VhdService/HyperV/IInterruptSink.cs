namespace VhdService.HyperV;

/// <summary>How the devices interrupt a guest. One of the two things that a hypervisor brings to plug the devices in; <see cref="IGuestMemory"/> is the other.</summary>
public interface IInterruptSink
{
    /// <summary>Raises a fixed, edge-triggered interrupt, as a message-signalled interrupt would.</summary>
    /// <param name="processor">The virtual processor's index, from 0.</param>
    /// <param name="vector">16 to 255.</param>
    /// <remarks>Any thread. Must be quick, must not throw, and must not call back into the partition: a lock of the processor is held.</remarks>
    void Raise(int processor, byte vector);
}

using VhdService.HyperV;

namespace VhdService.Vmbus;

/// <summary>Messages from the guest that wait for the bus's worker; a bounded number, in order. Any thread.</summary>
internal sealed class GuestMessageQueue
{
    private readonly Lock _lock = new();
    private readonly SynicMessage[] _messages = new SynicMessage[VmbusLimits.QueuedMessages];
    private int _first;
    private int _count;

    public bool TryAdd(ReadOnlySpan<byte> payload)
    {
        lock (_lock)
        {
            if (_count == _messages.Length)
            {
                return false;
            }

            ref var message = ref _messages[(_first + _count) % _messages.Length];
            message.PayloadSize = (byte)payload.Length;
            payload.CopyTo(message.Payload);
            _count++;
            return true;
        }
    }

    /// <summary>Takes the oldest.</summary>
    public bool TryTake(out SynicMessage message)
    {
        lock (_lock)
        {
            if (_count == 0)
            {
                message = default;
                return false;
            }

            message = _messages[_first];
            _first = (_first + 1) % _messages.Length;
            _count--;
            return true;
        }
    }
}

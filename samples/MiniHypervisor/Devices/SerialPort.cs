namespace MiniHypervisor.Devices;

/// <summary>A 16450 at COM1: the guest's console. Any thread.</summary>
internal sealed class SerialPort(Stream output, Action<bool> setInterruptLine)
{
    public const ushort Base = 0x3F8;
    public const ushort End = 0x400;
    public const int Irq = 4;

    private const int MaxInput = 4096; // bytes; a guest that does not read loses what is typed beyond
    private const byte ReceiverInterrupt = 1;
    private const byte TransmitterInterrupt = 2;

    private readonly Lock _lock = new();
    private readonly Queue<byte> _input = new();
    private byte _interruptEnable;
    private byte _lineControl;
    private byte _modemControl;
    private byte _scratch;
    private ushort _divisor = 1;
    private bool _isTransmitterEmpty; // and the guest has not been told
    private bool _isLineHigh;

    private bool IsDivisorAccessible => (_lineControl & 0x80) != 0;

    /// <summary>Somebody types.</summary>
    public void Type(ReadOnlySpan<byte> text)
    {
        lock (_lock)
        {
            foreach (var value in text)
            {
                if (_input.Count < MaxInput)
                {
                    _input.Enqueue(value);
                }
            }

            UpdateLine();
        }
    }

    public byte Read(ushort port)
    {
        lock (_lock)
        {
            var value = (port - Base) switch
            {
                0 when IsDivisorAccessible => (byte)_divisor,
                0 => _input.TryDequeue(out var typed) ? typed : (byte)0,
                1 when IsDivisorAccessible => (byte)(_divisor >> 8),
                1 => _interruptEnable,
                2 => Identify(),
                3 => _lineControl,
                4 => _modemControl,
                5 => (byte)(0x60 | (_input.Count > 0 ? 1 : 0)), // transmitter empty; data ready
                6 => (byte)0xB0, // carrier, ready, clear to send
                _ => _scratch,
            };
            UpdateLine();
            return value;
        }
    }

    public void Write(ushort port, byte value)
    {
        lock (_lock)
        {
            switch (port - Base)
            {
                case 0 when IsDivisorAccessible:
                    _divisor = (ushort)((_divisor & 0xFF00) | value);
                    break;

                case 0:
                    output.WriteByte(value);
                    if (value == '\n')
                    {
                        output.Flush();
                    }

                    _isTransmitterEmpty = true;
                    break;

                case 1 when IsDivisorAccessible:
                    _divisor = (ushort)((_divisor & 0x00FF) | (value << 8));
                    break;

                case 1:
                    _isTransmitterEmpty |= (value & ~_interruptEnable & TransmitterInterrupt) != 0;
                    _interruptEnable = (byte)(value & 0x0F);
                    break;

                case 3:
                    _lineControl = value;
                    break;

                case 4:
                    _modemControl = value;
                    break;

                case 7:
                    _scratch = value;
                    break;
            }

            UpdateLine();
        }
    }

    /// <summary>Shows what has been printed without a newline.</summary>
    public void Flush()
    {
        lock (_lock)
        {
            output.Flush();
        }
    }

    private byte Identify()
    {
        if ((_interruptEnable & ReceiverInterrupt) != 0 && _input.Count > 0)
        {
            return 0x04;
        }

        if ((_interruptEnable & TransmitterInterrupt) != 0 && _isTransmitterEmpty)
        {
            _isTransmitterEmpty = false; // being told is what ends it
            return 0x02;
        }

        return 0x01; // nothing
    }

    private void UpdateLine()
    {
        var isHigh = ((_interruptEnable & ReceiverInterrupt) != 0 && _input.Count > 0)
            || ((_interruptEnable & TransmitterInterrupt) != 0 && _isTransmitterEmpty);
        if (isHigh != _isLineHigh)
        {
            _isLineHigh = isHigh;
            setInterruptLine(isHigh);
        }
    }
}
